// licd from Node: `node client.js verify DIR` checks a licence with no licd anywhere; `node client.js call DIR` also
// opens a session and takes a lease over mTLS. DIR holds what an enrolled system holds. Prints one JSON object.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { promisify } = require("node:util");

const { decode, encode, PROTOS } = require("./protos.js");
const { dearmour, open, Refused, seal, sha256, trust } = require("./dsse.js");

const [, , verb, folder] = process.argv;
const file = (name) => fs.readFileSync(path.join(folder, name));
const settings = JSON.parse(file("settings.json"));
const now = () => BigInt(Date.now());

function verifiedLicence(believed) {
  const envelope = dearmour(file("licence.txt").toString("latin1"), "licence");
  const terms = decode("LicenceTerms", open(envelope, "licence", believed.keys, now()));
  if (terms.issuer !== believed.domain) throw new Refused(`issued by ${terms.issuer}, not ${believed.domain}`);
  if (now() < BigInt(terms.not_before_ms) || now() >= BigInt(terms.not_after_ms)) throw new Refused("not in its term");
  return terms;
}

// UUIDv7, RFC 9562: 48 bits of time, then chance.
function requestId() {
  const bytes = crypto.randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}

function connect() {
  const grpc = require("@grpc/grpc-js");
  const loader = require("@grpc/proto-loader");
  const definition = loader.loadSync("licd/v1/session_service.proto", {
    includeDirs: [PROTOS], keepCase: true, longs: String, enums: String, defaults: true, oneofs: true,
  });
  const { SessionService } = grpc.loadPackageDefinition(definition).licd.v1;
  const credentials = grpc.credentials.createSsl(file("ca.pem"), file("tls.key"), file("tls.pem"));
  const client = new SessionService(settings.address, credentials);
  const deadline = () => new Date(Date.now() + 10_000);
  const unary = (method) => {
    const call = promisify((request, done) => client[method](request, { deadline: deadline() }, done));
    return call;
  };
  return { client, unary };
}

// The first link of a chain: it follows the enrolment's receipt, and is signed by the system's own key.
function openingLink() {
  const nonce = crypto.randomBytes(16);
  const payload = encode("Link", {
    system: settings.system,
    sequence: 1,
    previous: sha256(file("receipt")),
    boot_nonce: crypto.randomBytes(16),
    boot_time_ms: Math.trunc(process.uptime() * 1000),
    nonce,
    opening: { deployment_region: "DE", software: "node client" },
  });
  const key = crypto.createPrivateKey(file("system.key"));
  return { nonce, hash: sha256(payload), envelope: seal("link", payload, key, settings.key_id) };
}

function acquisition(region) {
  return {
    target: sha256(`target in ${region}`),
    regions: [{ region, basis: "REGION_BASIS_DECLARED" }],
    purpose: settings.purpose,
  };
}

// A permit that licd signed for this system, its leases side by side with their hard ends.
function permitOf(envelope, believed) {
  const permit = decode("Permit", open(envelope, "permit", believed.keys, now()));
  if (permit.header.issuer !== believed.domain || permit.header.system !== settings.system) {
    throw new Refused(`a permit of ${permit.header.issuer} for ${permit.header.system}`);
  }
  return permit;
}

async function openSession(unary, believed) {
  const link = openingLink();
  const { reply } = await unary("OpenSession")({ link: link.envelope });
  const { header } = permitOf(reply, believed);
  if (!header.link.equals(link.hash) || !header.nonce.equals(link.nonce) || header.sequence !== "1") {
    throw new Refused("the reply answers another link");
  }
  return header.session;
}

async function acquire(unary, believed, region) {
  const request = { request_id: requestId(), acquisition: acquisition(region) };
  const answer = await unary("AcquireLease")(request);
  const again = await unary("AcquireLease")(request);
  // A grant is said again byte for byte; a denial changed nothing, and is decided anew.
  const same = answer.outcome === "denial" || again[again.outcome].payload.equals(answer[answer.outcome].payload);
  if (again.outcome !== answer.outcome || !same) throw new Refused("a retry got another answer");
  if (answer.outcome === "denial") {
    return { denied: decode("Refusal", open(answer.denial, "denial", believed.keys, now())).denial.reason };
  }
  const permit = permitOf(answer.permit, believed);
  return { lease: permit.leases[0], holds_ms: Number(BigInt(permit.hard_ends_ms[0]) - BigInt(permit.header.decided_ms)) };
}

async function calls(believed) {
  const { client, unary } = connect();
  try {
    const before = await unary("CheckLicence")({});
    const session = await openSession(unary, believed);
    const granted = await acquire(unary, believed, "DE");
    const elsewhere = await acquire(unary, believed, "FR");
    const during = await unary("CheckLicence")({});
    const released = await unary("ReleaseLease")({ request_id: requestId(), lease: granted.lease });
    open(before.licence, "licence", believed.keys, now());
    return { before: before.standing, session, granted, elsewhere, during: during.standing, released: released.outcome };
  } finally {
    client.close();
  }
}

async function main() {
  const believed = trust(file("bundle.txt").toString("latin1"), settings.pin, now());
  const terms = verifiedLicence(believed);
  const licence = { licence: terms.licence, customer: terms.customer, constraints: terms.constraints.map((c) => c.kind) };
  return verb === "call" ? { licence, ...(await calls(believed)) } : { licence };
}

main().then(
  (result) => console.log(JSON.stringify(result)),
  (error) => {
    console.error(error instanceof Refused ? `refused: ${error.message}` : error);
    process.exitCode = error instanceof Refused ? 3 : 1;
  },
);

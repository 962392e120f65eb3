// Signed things without licd: armour, DSSE's pre-authentication encoding, Ed25519, and the keys of a trust bundle.
// Everything here is from the published formats: DSSE v1.0.2, RFC 8032, proto/licd/v1. Only node:crypto is used.
"use strict";

const crypto = require("node:crypto");
const { decode } = require("./protos.js");

const PURPOSE_WORDS = {
  KEY_PURPOSE_ROOT: "root",
  KEY_PURPOSE_LICENCE_ISSUER: "licence-issuer",
  KEY_PURPOSE_PERMIT_ONLINE: "permit-online",
};
const PURPOSES = {
  licence: "KEY_PURPOSE_LICENCE_ISSUER",
  permit: "KEY_PURPOSE_PERMIT_ONLINE",
  denial: "KEY_PURPOSE_PERMIT_ONLINE",
  "trust-bundle": "KEY_PURPOSE_ROOT",
};

class Refused extends Error {}

const sha256 = (bytes) => crypto.createHash("sha256").update(bytes).digest();
const typeOf = (kind) => `application/vnd.licd.${kind}.v1+proto`;

// DSSEv1 SP LEN(type) SP type SP LEN(body) SP body
function pae(payloadType, payload) {
  const type = Buffer.from(payloadType, "utf8");
  const head = `DSSEv1 ${type.length} ${type} ${payload.length} `;
  return Buffer.concat([Buffer.from(head, "utf8"), payload]);
}

// The envelope between the two lines of its kind.
function dearmour(text, kind) {
  const label = kind.toUpperCase().replaceAll("-", " ");
  const lines = text.split("\n");
  const from = lines.indexOf(`-----BEGIN LICD ${label}-----`);
  const to = lines.indexOf(`-----END LICD ${label}-----`);
  if (from < 0 || to < from) throw new Refused(`no ${label} in this text`);
  const base64 = lines.slice(from + 1, to).join("");
  const raw = Buffer.from(base64, "base64");
  if (raw.toString("base64") !== base64) throw new Refused(`the base64 of this ${label} is damaged`);
  return decode("Envelope", raw);
}

const publicKey = (raw) =>
  crypto.createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") }, format: "jwk" });

const keyId = (key) =>
  sha256(Buffer.concat([Buffer.from(`${PURPOSE_WORDS[key.purpose]}\0`), key.public_key])).subarray(0, 8).toString("hex");

// The payload of an envelope of this kind, once enough of these keys have signed it. `at` is unix milliseconds.
function open(envelope, kind, keys, at, threshold = 1) {
  if (envelope.payload_type !== typeOf(kind)) throw new Refused(`asked for a ${kind}, got ${envelope.payload_type}`);
  const message = pae(envelope.payload_type, envelope.payload);
  const signers = new Set();
  for (const { sig, keyid } of envelope.signatures) {
    const key = keys.find((each) => each.key_id === keyid);
    if (!key || key.purpose !== PURPOSES[kind] || keyId(key) !== keyid) continue;
    if (at < BigInt(key.not_before_ms) || at >= BigInt(key.not_after_ms)) continue;
    if (crypto.verify(null, message, publicKey(key.public_key), sig)) signers.add(keyid);
  }
  if (signers.size < threshold) throw new Refused(`${signers.size} of ${threshold} known keys signed this ${kind}`);
  return envelope.payload;
}

// The keys to believe, from the first trust bundle of an installation: pinned by the hash of its payload, and signed by
// the threshold of its own roots.
function trust(text, pin, at) {
  const envelope = dearmour(text, "trust-bundle");
  if (sha256(envelope.payload).toString("hex") !== pin) throw new Refused("another trust bundle than the pinned one");
  const bundle = decode("TrustBundle", envelope.payload);
  open(envelope, "trust-bundle", bundle.root_keys, BigInt(bundle.issued_at_ms), bundle.root_threshold);
  if (at >= BigInt(bundle.expires_at_ms)) throw new Refused("the trust bundle has expired");
  return { domain: bundle.trust_domain, keys: bundle.keys.filter((key) => !bundle.withdrawn_key_ids.includes(key.key_id)) };
}

// A signed envelope; the key is a private KeyObject, the id what licd knows it by.
function seal(kind, payload, key, keyid) {
  const payload_type = typeOf(kind);
  return { payload, payload_type, signatures: [{ sig: crypto.sign(null, pae(payload_type, payload), key), keyid }] };
}

module.exports = { Refused, dearmour, open, pae, seal, sha256, trust };

// The messages of proto/licd/v1, read from the .proto files themselves. 64-bit numbers are BigInt where they count.
"use strict";

const path = require("node:path");
const protobuf = require("protobufjs");

const PROTOS = path.join(__dirname, "..", "..", "proto");
const FILES = ["envelope", "trust", "licence", "session", "denial", "session_service"];

const root = new protobuf.Root();
root.resolvePath = (_, target) => path.join(PROTOS, target);
root.loadSync(FILES.map((name) => `licd/v1/${name}.proto`), { keepCase: true });

const type = (name) => root.lookupType(`licd.v1.${name}`);

// The message in these bytes, with every field set: longs as strings, enums by name, bytes as Buffer.
function decode(name, bytes) {
  const kind = type(name);
  return kind.toObject(kind.decode(bytes), { longs: String, enums: String, defaults: true, oneofs: true });
}

// Throws when the object is no such message.
function encode(name, object) {
  const kind = type(name);
  return Buffer.from(kind.encode(kind.fromObject(object)).finish());
}

module.exports = { PROTOS, decode, encode };

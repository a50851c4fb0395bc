// Signs with the chains' own libraries what the tests ask for: one JSON object a line in, one out.
// Keys come from the tests, as hex of 32 bytes; nothing is kept between two lines.

import { createECDH, webcrypto } from "node:crypto";
import { createInterface } from "node:readline";

globalThis.crypto ??= webcrypto; // Node.js 18
console.warn = () => {}; // published vectors have seeds of zeros, about which libraries warn

const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (data) => Buffer.from(data).toString("hex");
const utf8 = (text) => new TextEncoder().encode(text);
const joined = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));

async function eip155({ key, text, fields }) {
  const { privateKeyToAccount } = await import("viem/accounts");
  const { createSiweMessage } = await import("viem/siwe");
  if (fields) return { text: createSiweMessage(dates(fields)) };
  const account = privateKeyToAccount(`0x${key}`);
  return { address: account.address, signature: await account.signMessage({ message: text }) };
}

function dates(fields) {
  const changed = { ...fields };
  for (const name of ["issuedAt", "expirationTime", "notBefore"])
    if (changed[name]) changed[name] = new Date(changed[name]);
  return changed;
}

async function stacks({ key, text, prefix, fields, structured }) {
  const { hashMessage } = await import("@stacks/encryption");
  const stx = await import("@stacks/transactions");
  const compressed = `${key}01`;
  const signature = structured
    ? stx.signStructuredData({
        message: stx.Cl.stringAscii(text),
        domain: stx.Cl.tuple({
          name: stx.Cl.stringAscii("Test"), version: stx.Cl.stringAscii("1"), "chain-id": stx.Cl.uint(1),
        }),
        privateKey: compressed,
      })
    : stx.signMessageHashRsv({ messageHash: hex(hashMessage(text, prefix)), privateKey: compressed });
  return {
    mainnet: stx.getAddressFromPrivateKey(compressed, "mainnet"),
    testnet: stx.getAddressFromPrivateKey(compressed, "testnet"),
    uncompressed: stx.getAddressFromPrivateKey(key, "mainnet"),
    signature,
  };
}

async function solana({ key, text, fields }) {
  const { default: nacl } = await import("tweetnacl");
  const { default: bs58 } = await import("bs58");
  const { createSignInMessageText } = await import("@solana/wallet-standard-util");
  if (fields) return { text: createSignInMessageText(fields) };
  const pair = nacl.sign.keyPair.fromSeed(bytes(key));
  return {
    address: bs58.encode(pair.publicKey),
    signature: bs58.encode(nacl.sign.detached(utf8(text), pair.secretKey)),
  };
}

async function identity({ kind, key }) {
  const { Ed25519KeyIdentity, ECDSAKeyIdentity } = await import("@icp-sdk/core/identity");
  if (kind === "ed25519") return Ed25519KeyIdentity.generate(bytes(key));
  if (kind === "secp256k1") {
    const { Secp256k1KeyIdentity } = await import("@icp-sdk/core/identity/secp256k1");
    return Secp256k1KeyIdentity.fromSecretKey(bytes(key));
  }
  const ecdh = createECDH("prime256v1");
  ecdh.setPrivateKey(Buffer.from(key, "hex"));
  const point = ecdh.getPublicKey();
  const base64url = (part) => Buffer.from(part).toString("base64url");
  const jwk = { kty: "EC", crv: "P-256", x: base64url(point.subarray(1, 33)), y: base64url(point.subarray(33)) };
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  return ECDSAKeyIdentity.fromKeyPair({
    privateKey: await webcrypto.subtle.importKey(
      "jwk", { ...jwk, d: base64url(Buffer.from(key, "hex")) }, algorithm, true, ["sign"]),
    publicKey: await webcrypto.subtle.importKey("jwk", jwk, algorithm, true, ["verify"]),
  }, webcrypto.subtle);
}

// `keys` is the principal's key, then each one that was delegated to; `delegations` says until when, and how limited.
// With `to`, the DER of a key that somebody else has, the last delegation is to that, and nothing is signed.
async function icp({ keys, delegations, text, to }) {
  const { DelegationChain } = await import("@icp-sdk/core/identity");
  const { Principal } = await import("@icp-sdk/core/principal");
  const identities = await Promise.all(keys.map(identity));
  const publicKeys = identities.map((each) => each.getPublicKey());
  if (to) publicKeys.push({ toDer: () => bytes(to) });
  const publicKey = publicKeys[0].toDer();
  let chain = DelegationChain.fromDelegations([], publicKey);
  for (const [at, { expires, targets, permissions }] of delegations.entries()) {
    chain = await DelegationChain.create(
      identities[at], publicKeys[at + 1], new Date(expires),
      { previous: chain, targets: targets?.map((target) => Principal.fromText(target)), permissions });
  }
  if (to) return { chain: chain.toJSON() };
  const signature = await identities.at(-1).sign(joined(utf8("\x0fsiwic-challenge"), utf8(text)));
  return {
    principal: Principal.selfAuthenticating(publicKey).toText(),
    signature: JSON.stringify({ ...chain.toJSON(), signature: hex(signature) }),
  };
}

const chains = { eip155, stacks, solana, icp };

for await (const line of createInterface({ input: process.stdin })) {
  const { chain, ...given } = JSON.parse(line);
  const answer = await chains[chain](given).catch((error) => ({ error: String(error?.stack ?? error) }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

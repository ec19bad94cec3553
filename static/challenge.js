// Proof of work by ALTCHA's protocol, version 2: the page's half hands a challenge on, the worker's half solves it.
// What cannot be solved here is answered "none": the submission is then kept for a human.
(() => {
  "use strict";
  const NONE = "none";
  if (self.document) {
    const { src } = document.currentScript;
    const PATIENCE = 60e3; // milliseconds
    self.leadgateChallenge = ({ challenge }) => new Promise((resolve) => {
      let worker;
      const end = (answer) => {
        worker?.terminate();
        resolve(answer);
      };
      try {
        worker = new Worker(src);
        worker.onmessage = ({ data }) => end(data);
        worker.onerror = () => end(NONE);
        setTimeout(end, PATIENCE, NONE);
        worker.postMessage(challenge);
      } catch {
        end(NONE);
      }
    });
    return;
  }

  const AT_ONCE = 8; // the browser derives them on as many cores as there are
  const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
  const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

  async function derive({ nonce, salt, cost, keyLength }, counter) {
    const password = new Uint8Array(20);
    password.set(bytes(nonce));
    new DataView(password.buffer).setUint32(16, counter);
    const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
    const method = { name: "PBKDF2", hash: "SHA-256", salt: bytes(salt), iterations: cost };
    return { counter, derivedKey: hex(await crypto.subtle.deriveBits(method, key, keyLength * 8)) };
  }

  async function solve(challenge) {
    const { parameters } = challenge;
    for (let first = 0; ; first += AT_ONCE) {
      const tries = Array.from({ length: AT_ONCE }, (_, place) => derive(parameters, first + place));
      const solution = (await Promise.all(tries)).find((one) => one.derivedKey.startsWith(parameters.keyPrefix));
      if (solution) return btoa(JSON.stringify({ challenge, solution }));
    }
  }

  self.onmessage = ({ data }) => solve(data).catch(() => NONE).then(self.postMessage);
})();

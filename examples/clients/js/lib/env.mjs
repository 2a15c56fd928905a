// The node under test and the accounts that it comes with.
import { HDNodeWallet, Mnemonic } from "ethers";

export const HTTP = process.env.KLAY_HTTP ?? "http://127.0.0.1:8551";
export const WS = process.env.KLAY_WS ?? "ws://127.0.0.1:8552";
export const CHAIN_ID = 1337;
export const KLAY = 10n ** 18n;

const MNEMONIC = "test test test test test test test test test test test junk";
const root = HDNodeWallet.fromMnemonic(Mnemonic.fromPhrase(MNEMONIC), "m/44'/60'/0'/0");

/** The ten accounts of a development chain: `{ address, privateKey }`. */
export const devAccounts = Array.from({ length: 10 }, (_, i) => {
  const { address, privateKey } = root.deriveChild(i);
  return { address, privateKey };
});

/** A plain JSON-RPC call, for what a client has no method for. */
export async function rpc(method, ...params) {
  const response = await fetch(HTTP, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  const { result, error } = await response.json();
  if (error) throw Object.assign(new Error(error.message), error);
  return result;
}

export const balance = async (address, block = "latest") => BigInt(await rpc("klay_getBalance", address, block));

/** The receipt of a transaction, as soon as there is one. */
export async function receipt(hash, seconds = 20) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
    const found = await rpc("klay_getTransactionReceipt", hash);
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no receipt for ${hash} within ${seconds} s`);
}

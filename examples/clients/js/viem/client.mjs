// viem's view of the node.
import { createPublicClient, createWalletClient, defineChain, http, webSocket } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { CHAIN_ID, HTTP, WS, devAccounts } from "../lib/env.mjs";

export const chain = defineChain({
  id: CHAIN_ID,
  name: "klay dev",
  nativeCurrency: { name: "KLAY", symbol: "KLAY", decimals: 18 },
  rpcUrls: { default: { http: [HTTP], webSocket: [WS] } },
});

export const reader = createPublicClient({ chain, transport: http(), pollingInterval: 250, cacheTime: 0 });
export const listener = () => createPublicClient({ chain, transport: webSocket() });
export const writer = (index) =>
  createWalletClient({ chain, transport: http(), account: privateKeyToAccount(devAccounts[index].privateKey) });

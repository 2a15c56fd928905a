// A sender or a fee payer who uses @kaiachain/ethers-ext, without a node.
import { Wallet, parseTransaction } from "@kaiachain/ethers-ext/v6";
import { serve } from "../lib/party.mjs";

serve(async ({ address, key }, { fields, raw, chainId }) => {
  const wallet = new Wallet(address, key);
  if (!raw) return wallet.signTransaction(fields);
  return wallet.signTransactionAsFeePayer({ ...parseTransaction(raw), chainId, feePayer: address });
});

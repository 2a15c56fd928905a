// Every Klaytn payload in every fee mode, described once for all clients.
import { Wallet } from "ethers";
import { abi, bytecode } from "./compile.mjs";
import { AbiCoder, Interface } from "ethers";

export const modes = [
  { name: "", ratio: undefined },
  { name: "FeeDelegated", ratio: 100 },
  { name: "FeeDelegated", suffix: "WithRatio", ratio: 30 },
];

/** A digest of a service chain block: type 0, height 5. */
export const anchored =
  "0xf8ad80b8aaf8a8" +
  [1, 2, 3, 4, 5].map((n) => "a0" + n.toString(16).padStart(2, "0").repeat(32)).join("") +
  "050607";

export const tokenCode = bytecode + AbiCoder.defaultAbiCoder().encode(["uint256"], [10n ** 24n]).slice(2);
export const tokenInterface = new Interface(abi);

/** The payloads: name in the node's types, and the fields beside nonce, price and sender. */
export function payloads({ token, publicKeyEncoding }) {
  const to = () => Wallet.createRandom().address;
  return [
    { name: "ValueTransfer", to: to(), value: 1234567n, gas: 100_000 },
    { name: "ValueTransferMemo", to: to(), value: 7n, input: "0x68656c6c6f", gas: 100_000 },
    { name: "AccountUpdate", key: publicKeyEncoding, gas: 200_000 },
    { name: "SmartContractDeploy", input: tokenCode, gas: 3_000_000 },
    {
      name: "SmartContractExecution",
      to: token,
      input: tokenInterface.encodeFunctionData("approve", [to(), 5n]),
      gas: 300_000,
    },
    { name: "Cancel", gas: 100_000 },
    { name: "ChainDataAnchoring", input: anchored, gas: 300_000 },
  ];
}

/** The node's name of a type. */
export const typeName = (mode, payload) => `TxType${mode.name}${payload}${mode.suffix ?? ""}`;

// The sample token, compiled by solc.
import { readFileSync } from "node:fs";
import solc from "solc";

const source = new URL("../../contracts/Token.sol", import.meta.url);
const output = JSON.parse(
  solc.compile(
    JSON.stringify({
      language: "Solidity",
      sources: { "Token.sol": { content: readFileSync(source, "utf8") } },
      settings: { optimizer: { enabled: true }, outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } } },
    }),
  ),
);
const problems = (output.errors ?? []).filter(({ severity }) => severity === "error");
if (problems.length > 0) throw new Error(problems.map(({ formattedMessage }) => formattedMessage).join("\n"));

const { abi, evm } = output.contracts["Token.sol"].Token;
export { abi };
export const bytecode = "0x" + evm.bytecode.object;

// Prints interface and code of the sample token as JSON, for clients in other languages.
import { abi, bytecode } from "./lib/compile.mjs";

console.log(JSON.stringify({ abi, bytecode }));

//! Where secret keys come from: a keystore file, an environment variable or standard input, never an argument.

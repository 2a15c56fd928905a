//! The 2048-bit filter over log addresses and topics.

//! The extra-data of headers: never a panic, and seals can be written into whatever decodes.

#![no_main]

use klay_consensus::istanbul::seal;
use klay_core::block::IstanbulExtra;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(extra) = IstanbulExtra::decode(bytes) {
        assert_eq!(IstanbulExtra::decode(&extra.encode()).as_ref(), Ok(&extra));
        let sealed = seal::with_seal(bytes, &[1; 65]).expect("it decodes");
        assert_eq!(IstanbulExtra::decode(&sealed).expect("it was written").seal, [1; 65]);
    }
});

//! As much of the contract ABI as system contracts need: calls, and strict reading of what they return.

use klay_core::{Address, Bytes, U256, keccak256};

/// Longest list that is read.
const MAX_ITEMS: usize = 1 << 16;
const WORD: usize = 32;

/// A call with arguments of one word each, or one string.
pub(super) fn call(signature: &str, arguments: &[U256]) -> Bytes {
    let mut input = selector(signature);
    for argument in arguments {
        input.extend_from_slice(&argument.to_be_bytes::<WORD>());
    }
    input.into()
}

/// A call whose only argument is a string.
pub(super) fn call_with_text(signature: &str, text: &str) -> Bytes {
    let mut input = selector(signature);
    for word in [WORD, text.len()] {
        input.extend_from_slice(&U256::from(word).to_be_bytes::<WORD>());
    }
    input.extend_from_slice(text.as_bytes());
    let padded = text.len().next_multiple_of(WORD);
    input.resize(input.len() - text.len() + padded, 0);
    input.into()
}

fn selector(signature: &str) -> Vec<u8> {
    keccak256(signature)[..4].to_vec()
}

/// Values in a region of returned data: the arguments, an array or a tuple.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    region: &'a [u8],
    at: usize,
}

/// Returned data that is not what the contract's interface says. `None` everywhere below.
impl<'a> Values<'a> {
    /// The returned values.
    pub(super) const fn new(data: &'a [u8]) -> Self {
        Self { region: data, at: 0 }
    }

    pub(super) fn word(&mut self) -> Option<U256> {
        let word = self.region.get(self.at..)?.first_chunk::<WORD>()?;
        self.at += WORD;
        Some(U256::from_be_bytes(*word))
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.word()?.try_into().ok()
    }

    pub(super) fn address(&mut self) -> Option<Address> {
        let word = self.word()?.to_be_bytes::<WORD>();
        let (padding, address) = word.split_first_chunk::<12>()?;
        (*padding == [0; 12]).then(|| Address::from_slice(address))
    }

    /// The region that an offset word points to.
    fn pointed(&mut self) -> Option<Self> {
        let offset: usize = self.word()?.try_into().ok()?;
        Some(Self::new(self.region.get(offset..)?))
    }

    /// A byte string or text.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let mut target = self.pointed()?;
        let len: usize = target.word()?.try_into().ok()?;
        target.region.get(WORD..)?.get(..len)
    }

    /// A tuple with dynamic members.
    pub(super) fn tuple(&mut self) -> Option<Self> {
        self.pointed()
    }

    /// An array, each item by `read`.
    pub(super) fn list<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut target = self.pointed()?;
        let len: usize = target.word()?.try_into().ok()?;
        // Each item takes at least a word, so a length beyond the data is refused before anything is reserved.
        if len > MAX_ITEMS || len > target.region.len() / WORD {
            return None;
        }
        let mut items = Self::new(target.region.get(WORD..)?);
        (0..len).map(|_| read(&mut items)).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| U256::from(*word).to_be_bytes::<WORD>()).collect()
    }

    #[test]
    fn calls_are_padded_to_words() {
        let call = call_with_text("getActiveAddr(string)", "KIP113");
        assert_eq!(call.len(), 4 + 3 * WORD);
        assert_eq!(&call[..4], [0xe2, 0x69, 0x3e, 0x3f]);
        assert_eq!(call[4 + 2 * WORD..4 + 2 * WORD + 6], *b"KIP113");
        assert_eq!(call_with_text("f(string)", &"x".repeat(32)).len(), 4 + 3 * WORD);
    }

    #[test]
    fn lists_and_tuples_read_back() {
        let data = words(&[32, 2, 7, 9]);
        assert_eq!(Values::new(&data).list(Values::u8).unwrap(), [7, 9]);
        assert_eq!(Values::new(&words(&[32, 1, 256])).list(Values::u8), None);
        assert_eq!(Values::new(&words(&[32, 3, 7, 9])).list(Values::u8), None);
        assert_eq!(Values::new(&words(&[32, u64::MAX])).list(Values::u8), None);
        let mut text = words(&[32, 3]);
        text.extend(b"abc");
        assert_eq!(Values::new(&text).bytes(), Some(&b"abc"[..]));
        text.pop();
        assert_eq!(Values::new(&text).bytes(), None);
    }

    #[test]
    fn an_address_has_no_bits_above_it() {
        assert_eq!(Values::new(&words(&[5])).address(), Some(Address::with_last_byte(5)));
        let mut dirty = words(&[5]);
        dirty[11] = 1;
        assert_eq!(Values::new(&dirty).address(), None);
    }

    proptest! {
        #[test]
        fn any_data_is_read_or_refused(data in proptest::collection::vec(0u8..70, 0..400)) {
            let mut values = Values::new(&data);
            let _ = values.list(|item| item.bytes().map(<[u8]>::to_vec));
            let _ = values.list(|item| item.tuple()?.bytes().map(<[u8]>::to_vec));
            let _ = values.list(Values::address);
        }
    }
}

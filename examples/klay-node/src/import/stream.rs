//! Splits an export file into blocks.
//!
//! The format has no header and no index: RLP lists, one after the other, ascending by number.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

/// Longest block that is read, in bytes. The wire's limit is 12 MiB; nothing bounds a block of a private chain before
/// Osaka, so there is room.
const MAX_BLOCK: usize = 64 << 20;
const BUFFER: usize = 1 << 18;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Why there is no next block.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The source failed.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The source ends within a block.
    #[error("the file ends {missing} bytes before the end of the block")]
    Truncated {
        /// How many bytes are missing at least.
        missing: usize,
    },
    /// There is something else than a list.
    #[error("a block is an RLP list, but the next byte is {first:#04x}")]
    NotAList {
        /// The byte.
        first: u8,
    },
    /// A length with leading zeros, or one that the short form would hold.
    #[error("the length of the block is not in canonical form")]
    Length,
    /// The block is longer than any that is read.
    #[error("the block says that it has {got} bytes, at most {limit} are read")]
    TooLong {
        /// Most that is read.
        limit: usize,
        /// What it says.
        got: usize,
    },
}

/// `source` without gzip, if it is packed; it is the content that counts, not the name.
///
/// # Errors
/// If the source cannot be read.
pub fn unpacked<'a>(mut source: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut first = Vec::with_capacity(GZIP.len());
    source.by_ref().take(GZIP.len() as u64).read_to_end(&mut first)?;
    let is_packed = first == GZIP;
    let all = io::Cursor::new(first).chain(source);
    Ok(if is_packed { Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, all))) } else { Box::new(all) })
}

/// The blocks of an export, as bytes.
#[derive(Debug)]
pub struct BlockStream<R>(BufReader<R>);

impl<R: Read> BlockStream<R> {
    /// Reads blocks from `source`, which is not packed.
    pub fn new(source: R) -> Self {
        Self(BufReader::with_capacity(BUFFER, source))
    }

    fn next_block(&mut self) -> Result<Option<Vec<u8>>, StreamError> {
        let mut first = [0];
        if self.fill(&mut first)? == 0 {
            return Ok(None);
        }
        let [first] = first;
        let mut block = vec![first];
        let len = match first {
            0xc0..=0xf7 => usize::from(first - 0xc0),
            0xf8.. => self.long_length(first - 0xf7, &mut block)?,
            _ => return Err(StreamError::NotAList { first }),
        };
        if len > MAX_BLOCK {
            return Err(StreamError::TooLong { limit: MAX_BLOCK, got: len });
        }
        // Grows with what is there, not with what is said.
        let got = self.0.by_ref().take(len as u64).read_to_end(&mut block)?;
        if got < len { Err(StreamError::Truncated { missing: len - got }) } else { Ok(Some(block)) }
    }

    fn long_length(&mut self, count: u8, block: &mut Vec<u8>) -> Result<usize, StreamError> {
        let mut bytes = [0; 8];
        // A first byte has at most 0xff - 0xf7 length bytes.
        let used = &mut bytes[8 - usize::from(count)..];
        let got = self.fill(used)?;
        let used = &bytes[8 - usize::from(count)..];
        if got < used.len() {
            return Err(StreamError::Truncated { missing: used.len() - got });
        }
        block.extend_from_slice(used);
        let len = u64::from_be_bytes(bytes);
        if used.first() == Some(&0) || len < 56 {
            return Err(StreamError::Length);
        }
        Ok(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// Fills `buffer` as far as the source goes.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(got) => filled += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl<R: Read> Iterator for BlockStream<R> {
    type Item = Result<Vec<u8>, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_block().transpose()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn split(bytes: &[u8]) -> Result<Vec<Vec<u8>>, StreamError> {
        BlockStream::new(unpacked(bytes).unwrap()).collect()
    }

    #[test]
    fn lists_are_split_whatever_their_length() {
        let short = [&[0xc2][..], &[1, 2]].concat();
        let long = [&[0xf8, 60][..], &[7; 60]].concat();
        let longer = [&[0xf9, 0x01, 0x2c][..], &[9; 300]].concat();
        let all = [short, vec![0xc0], long, longer];
        assert_eq!(split(&all.concat()).unwrap(), all);
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&all.concat()).unwrap();
        assert_eq!(split(&packed.finish().unwrap()).unwrap(), all);
        assert_eq!(split(&[]).unwrap(), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn anything_else_is_refused() {
        assert!(matches!(split(&[0xc2, 1]), Err(StreamError::Truncated { missing: 1 })));
        assert!(matches!(split(&[0xf9, 1]), Err(StreamError::Truncated { missing: 1 })));
        assert!(matches!(split(&[0x83, 1, 2, 3]), Err(StreamError::NotAList { first: 0x83 })));
        assert!(matches!(split(&[0xf8, 55]), Err(StreamError::Length)));
        assert!(matches!(split(&[0xf9, 0, 60]), Err(StreamError::Length)));
        assert!(matches!(split(&[&[0xff; 9][..], &[1]].concat()), Err(StreamError::TooLong { .. })));
        assert!(matches!(split(&[0xfb, 4, 0, 0, 1]), Err(StreamError::TooLong { got: 0x0400_0001, .. })));
    }
}

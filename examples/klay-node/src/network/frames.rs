//! Frames on a stream: four bytes of length, big endian, then the content.

use std::io;

use futures::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt,
    io::{copy, sink},
};
use klay_core::Bytes;

/// Bytes that are written at once.
pub(super) const CHUNK: usize = 64 << 10;

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    /// The connection.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer announces more than is allowed.
    #[error("a frame of {got} bytes, at most {limit} are allowed")]
    TooLong {
        /// Bytes announced.
        got: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// Reads a frame of at most `limit` bytes.
///
/// # Errors
/// If the stream ends or fails, or the frame is too long.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> Result<Vec<u8>, FrameError> {
    let len = announced(stream, limit).await?;
    content(stream, len).await
}

/// Reads how long the next frame is: at most `limit` bytes.
///
/// # Errors
/// If the stream ends or fails, or the frame is too long.
pub(super) async fn announced(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> Result<usize, FrameError> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let len = u32::from_be_bytes(header) as usize;
    if len > limit { Err(FrameError::TooLong { got: len, limit }) } else { Ok(len) }
}

/// Reads what was announced. Memory grows with what arrives.
///
/// # Errors
/// If the stream ends or fails.
pub(super) async fn content(stream: &mut (impl AsyncRead + Unpin), len: usize) -> Result<Vec<u8>, FrameError> {
    let mut content = Vec::with_capacity(len.min(CHUNK));
    stream.take(len as u64).read_to_end(&mut content).await?;
    whole(content.len() as u64, len)?;
    Ok(content)
}

/// Passes over what was announced and keeps none of it.
///
/// # Errors
/// If the stream ends or fails.
pub(super) async fn skip(stream: &mut (impl AsyncRead + Unpin), len: usize) -> Result<(), FrameError> {
    whole(copy(stream.take(len as u64), &mut sink()).await?, len)
}

/// Waits until nobody reads a stream any more on which nothing is said from over there. Otherwise only the next write
/// would show it, and what comes before that is lost, a greeting too.
pub(super) async fn ended(stream: &mut (impl AsyncRead + Unpin)) {
    // Whoever speaks on it all the same gets another one.
    let _over = stream.read(&mut [0]).await;
}

fn whole(got: u64, len: usize) -> Result<(), FrameError> {
    if got < len as u64 { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) } else { Ok(()) }
}

/// Writes a frame and sends it off.
///
/// # Errors
/// If the stream fails.
pub(super) async fn write(stream: &mut (impl AsyncWrite + Unpin), content: Vec<u8>) -> io::Result<()> {
    write_all(stream, &[content.into()]).await
}

/// Writes frames together and sends them off.
///
/// # Errors
/// If the stream fails.
pub(super) async fn write_all(stream: &mut (impl AsyncWrite + Unpin), frames: &[Bytes]) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(frames.iter().map(|f| f.len() + 4).sum::<usize>().min(2 * CHUNK));
    for frame in frames {
        let len = u32::try_from(frame.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        buffer.extend_from_slice(&len.to_be_bytes());
        if frame.len() >= CHUNK {
            stream.write_all(&buffer).await?;
            buffer.clear();
            stream.write_all(frame).await?;
        } else {
            buffer.extend_from_slice(frame);
        }
    }
    stream.write_all(&buffer).await?;
    stream.flush().await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures::{executor::block_on, io::Cursor};

    use super::{FrameError, announced, read, skip, write};

    #[test]
    fn what_is_written_is_read_and_a_lie_about_the_length_costs_nothing() {
        block_on(async {
            let mut wire = Vec::new();
            write(&mut wire, b"one".to_vec()).await.unwrap();
            write(&mut wire, Vec::new()).await.unwrap();
            write(&mut wire, b"not read".to_vec()).await.unwrap();
            write(&mut wire, b"two".to_vec()).await.unwrap();
            let mut stream = Cursor::new(wire);
            assert_eq!(read(&mut stream, 3).await.unwrap(), b"one");
            assert_eq!(read(&mut stream, 3).await.unwrap(), b"");
            let len = announced(&mut stream, 8).await.unwrap();
            skip(&mut stream, len).await.unwrap();
            assert_eq!(read(&mut stream, 3).await.unwrap(), b"two");
            assert!(matches!(read(&mut stream, 3).await, Err(FrameError::Io(_))));

            let mut lie = Cursor::new([&[0, 0xbf, 0xff, 0xff][..], b"few"].concat());
            assert!(matches!(read(&mut lie, 12 << 20).await, Err(FrameError::Io(_))));
            let mut lie = Cursor::new(b"few");
            assert!(matches!(skip(&mut lie, 12 << 20).await, Err(FrameError::Io(_))));
            let mut long = Cursor::new([0xff; 8]);
            assert!(matches!(read(&mut long, 9).await, Err(FrameError::TooLong { got: 0xffff_ffff, limit: 9 })));
        });
    }
}

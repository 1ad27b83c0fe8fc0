//! The socket behind a connection: bytes in, pieces of an answer out.
//!
//! A piece is either bytes in memory or a part of a log file. The latter goes to a plain socket by `sendfile`, so that a
//! fetched batch never passes through this process: the kernel hands the pages of its cache to the socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf as _, BufMut, Bytes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::log::LogSlice;
use crate::security::ServerTls;

/// Slices of memory handed to the system in one call.
const SLICES: usize = 64;
/// Bytes of a file read at a time where they can't be sent directly.
const READ_CHUNK: usize = 256 << 10;

/// Bytes of a file encrypted at a time: what a TLS session buffers.
const TLS_CHUNK: usize = 64 << 10;

/// A part of an answer.
#[derive(Debug)]
pub(super) enum Piece {
    /// Bytes in memory.
    Memory(Bytes),
    /// Record batches in a log file.
    File(LogSlice),
}

impl Piece {
    /// Bytes still to be sent.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::File(slice) => slice.len(),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Memory(bytes) => bytes.advance(count),
            Self::File(slice) => slice.advance(count),
        }
    }
}

/// A client's socket.
#[derive(Debug)]
pub(super) enum Transport {
    /// TCP as it is.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    /// A client's socket, encrypted if there is something to encrypt it with; the handshake has to end in time.
    pub(super) async fn accept(stream: TcpStream, tls: Option<&ServerTls>, deadline: Duration) -> io::Result<Self> {
        let Some(tls) = tls else {
            return Ok(Self::Plain(stream));
        };
        let handshake = TlsAcceptor::from(tls.config()).accept(stream);
        Ok(Self::Tls(Box::new(tokio::time::timeout(deadline, handshake).await??)))
    }

    /// Reads what has arrived into `room`, waiting for the first byte; 0 if the client has closed. Dropping the future
    /// loses nothing.
    pub(super) async fn read(&mut self, room: &mut impl BufMut) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(room).await,
            Self::Tls(stream) => stream.read_buf(room).await,
        }
    }

    /// Asks the kernel to acknowledge at once: the client may hold back a frame's end until what came before is
    /// acknowledged (Nagle's algorithm), and the kernel would take 40 ms for that.
    pub(super) fn acknowledge(&self) {
        match self {
            // It is a hint: without it the frame arrives later.
            Self::Plain(stream) => drop(stream.set_quickack(true)),
            Self::Tls(stream) => drop(stream.get_ref().0.set_quickack(true)),
        }
    }

    /// Sends all pieces, each step within `patience`.
    pub(super) async fn send(&mut self, pieces: &mut VecDeque<Piece>, patience: Duration) -> io::Result<()> {
        while let Some(first) = pieces.front() {
            if first.len() == 0 {
                pieces.pop_front();
                continue;
            }
            let mut sent = tokio::time::timeout(patience, self.send_some(pieces)).await??;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            while let Some(first) = pieces.front_mut() {
                let length = first.len();
                if sent < length {
                    first.advance(sent);
                    break;
                }
                sent -= length;
                pieces.pop_front();
            }
        }
        match self {
            Self::Plain(_) => Ok(()),
            // What is encrypted may still wait for room in the socket.
            Self::Tls(stream) => Ok(tokio::time::timeout(patience, stream.flush()).await??),
        }
    }

    /// Sends the beginning of the pieces and returns how many bytes that were.
    async fn send_some(&mut self, pieces: &VecDeque<Piece>) -> io::Result<usize> {
        match (self, pieces.front()) {
            (_, None) => Ok(0),
            (Self::Plain(stream), Some(Piece::Memory(_))) => {
                let memory = pieces.iter().map_while(|piece| match piece {
                    Piece::Memory(bytes) => Some(IoSlice::new(bytes)),
                    Piece::File(_) => None,
                });
                let slices: Vec<_> = memory.take(SLICES).collect();
                stream.write_vectored(&slices).await
            }
            (Self::Tls(stream), Some(Piece::Memory(bytes))) => stream.write(bytes).await,
            (Self::Tls(stream), Some(Piece::File(slice))) => stream.write(&slice.read(TLS_CHUNK)?).await,
            (Self::Plain(stream), Some(Piece::File(slice))) => match slice.file() {
                Some(file) => loop {
                    stream.writable().await?;
                    let mut position = slice.position();
                    let sent = stream.try_io(Interest::WRITABLE, || {
                        Ok(rustix::fs::sendfile(&*stream, file, Some(&mut position), slice.len())?)
                    });
                    match sent {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        // The file is as long as the slice says, unless somebody else has cut it.
                        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                        other => return other,
                    }
                },
                None => stream.write(&slice.read(READ_CHUNK)?).await,
            },
        }
    }
}

//! The listener: every connection can be cut before, or in the middle of, an answer.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const WHOLE: u8 = 0;
const TRUNCATED: u8 = 1;
const CUT: u8 = 2;

/// A handle on one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Line(Arc<AtomicU8>);

impl Line {
    /// Nothing more is written.
    pub(super) fn cut(&self) {
        self.0.store(CUT, Ordering::SeqCst);
    }

    /// The next answer ends in the middle of its body.
    pub(super) fn truncate(&self) {
        self.0.store(TRUNCATED, Ordering::SeqCst);
    }
}

/// Accepts on loopback.
pub(super) struct CuttableListener(pub(super) TcpListener);

/// A connection whose writes a [`Line`] may cut.
pub(super) struct Cuttable {
    stream: TcpStream,
    line: Line,
}

impl Listener for CuttableListener {
    type Io = Cuttable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Cuttable, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, from)) => {
                    // Without it an answer in two writes waits for the client's delayed acknowledgement.
                    let _ = stream.set_nodelay(true);
                    let line = Line::default();
                    return (Cuttable { stream, line }, from);
                }
                // Out of file descriptors, or the client was gone already: let others work, then go on.
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Line {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.io().line.clone()
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.line.0.load(Ordering::SeqCst) {
            WHOLE => Pin::new(&mut this.stream).poll_write(cx, buf),
            TRUNCATED => {
                let body = buf.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
                let half = body + (buf.len() - body) / 2;
                let written = Pin::new(&mut this.stream).poll_write(cx, &buf[..half.max(1)]);
                if written.is_ready() {
                    this.line.cut();
                }
                written
            }
            _ => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

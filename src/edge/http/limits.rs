//! How much the port gives to whoever connects: a number of connections at once, and a length of time to each.
//!
//! Every answer is made of what is in memory, so an honest client is done in milliseconds. One that says nothing, says
//! it byte by byte or does not read holds one place for a short time, and neither files nor memory run out.

use axum::serve::Listener;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// Connections at once; more wait to be accepted.
pub(super) const MOST: usize = 64;

/// How long a connection may last.
pub(super) const TIMES: Times = Times { to_ask: Duration::from_secs(2), to_end: Duration::from_secs(10) };

/// How long a connection may last, from its beginning on.
#[derive(Clone, Copy)]
pub(super) struct Times {
    /// Until it has asked: shorter than a health check waits, which may have to wait for others that say nothing.
    pub(super) to_ask: Duration,
    /// Until it has the answer.
    pub(super) to_end: Duration,
}

/// Accepts connections as long as there is room.
pub(super) struct Limited {
    listener: TcpListener,
    room: Arc<Semaphore>,
    times: Times,
}

/// A connection that ends in time, and then makes room.
pub(super) struct Bounded {
    stream: TcpStream,
    /// None once it has asked.
    asks: Option<Pin<Box<Sleep>>>,
    ends: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Limited {
    pub(super) fn new(listener: TcpListener, most: usize, times: Times) -> Limited {
        Limited { listener, room: Arc::new(Semaphore::new(most)), times }
    }
}

impl Listener for Limited {
    type Io = Bounded;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Bounded, SocketAddr) {
        let Ok(place) = Arc::clone(&self.room).acquire_owned().await else {
            // Nobody closes it.
            return std::future::pending().await;
        };
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let asks = Some(Box::pin(tokio::time::sleep(self.times.to_ask)));
        let ends = Box::pin(tokio::time::sleep(self.times.to_end));
        (Bounded { stream, asks, ends, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Bounded {
    /// An error once its time is over; the task is woken then.
    fn in_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let is_over = self.ends.as_mut().poll(context).is_ready();
        let is_silent = self.asks.as_mut().is_some_and(|asks| asks.as_mut().poll(context).is_ready());
        if is_over || is_silent { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.in_time(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // It is answered, so it has asked.
        self.asks = None;
        self.in_time(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

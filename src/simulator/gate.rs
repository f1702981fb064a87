//! A gate before the account: every call waits there until it is told what becomes of it. Who holds the gate decides in which
//! order the calls of several callers take effect, and whether the caller hears of it.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::Simulator;
use super::fault::Fault;
use super::refusal::Answer;
use super::refusal::Refusal;
use super::request::Incoming;
use super::server::{Shared, denied, expired, is_write, server_error, throttled, unknown_key};

/// What the caller gets.
pub(super) enum Reply {
    /// The answer.
    Whole(Answer),
    /// Half of the answer's body.
    Truncated(Answer),
    /// A closed connection.
    Nothing,
}

/// The calls that arrive, in order.
pub struct Gate {
    calls: mpsc::UnboundedReceiver<Waiting>,
}

/// A call that waits at the gate. Dropped, it never has an effect, and its connection is closed.
pub struct Waiting {
    incoming: Incoming,
    shared: Arc<Shared>,
    reply: oneshot::Sender<Reply>,
}

impl Simulator {
    /// From now on every call waits at the gate. There is one gate: the newest.
    #[must_use]
    pub fn gate(&self) -> Gate {
        let (sender, calls) = mpsc::unbounded_channel();
        self.shared.world().gate = Some(sender);
        Gate { calls }
    }

    /// No call waits any more.
    pub fn open_gate(&self) {
        self.shared.world().gate = None;
    }
}

impl Gate {
    /// The next call to arrive.
    pub async fn arrival(&mut self) -> Option<Waiting> {
        self.calls.recv().await
    }
}

impl Waiting {
    /// `UpdateProject`
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.incoming.operation
    }

    /// Project, role, `role/policy`, secret, build or log group; empty for lists.
    #[must_use]
    pub fn target(&self) -> String {
        self.incoming.target()
    }

    /// Whether it would change something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        is_write(&self.incoming.operation)
    }

    /// What is asked for, to play a caller that would have asked otherwise.
    pub fn input(&mut self) -> &mut Value {
        &mut self.incoming.input
    }

    /// Served, and the answer changed on its way: to play a caller that reads it otherwise.
    pub fn serve_as(self, change: impl FnOnce(&mut Value)) {
        let reply = match self.shared.reply(None, &self.incoming) {
            Reply::Whole(Ok(mut answer)) => {
                change(&mut answer);
                Reply::Whole(Ok(answer))
            }
            other => other,
        };
        let _ = self.reply.send(reply);
    }

    /// Served as it is, or with a fault. The effect, if there is one, is made when this returns.
    pub fn serve(self, fault: Option<Fault>) {
        let reply = self.shared.reply(fault, &self.incoming);
        // The caller may be gone; the effect stays.
        let _ = self.reply.send(reply);
    }
}

impl Shared {
    /// Hands a call to whoever holds the gate, and waits for what becomes of it; at once if nobody does.
    pub(super) async fn through_the_gate(self: &Arc<Self>, incoming: &Incoming) -> Option<Reply> {
        let gate = self.world().gate.clone()?;
        let (reply, replied) = oneshot::channel();
        gate.send(Waiting { incoming: incoming.clone(), shared: Arc::clone(self), reply }).ok()?;
        Some(replied.await.unwrap_or(Reply::Nothing))
    }

    /// Makes the effect that a call has under a fault.
    pub(super) fn reply(&self, fault: Option<Fault>, incoming: &Incoming) -> Reply {
        let mut world = self.world();
        match fault {
            None | Some(Fault::Latency(_) | Fault::Paused) => Reply::Whole(world.perform(incoming)),
            Some(Fault::DropAfter) => {
                let _unheard = world.perform(incoming);
                Reply::Nothing
            }
            Some(Fault::TruncatedBody) => Reply::Truncated(world.perform(incoming)),
            Some(Fault::DropBefore) => {
                let _unheard = world.refuse(incoming, Refusal::new(500, "InternalFailure", "dropped"));
                Reply::Nothing
            }
            Some(Fault::Throttled) => Reply::Whole(world.refuse(incoming, throttled(incoming))),
            Some(Fault::ServerError(status)) => Reply::Whole(world.refuse(incoming, server_error(incoming, status))),
            Some(Fault::ExpiredToken) => Reply::Whole(world.refuse(incoming, expired(incoming))),
            Some(Fault::UnknownKey) => Reply::Whole(world.refuse(incoming, unknown_key(incoming))),
            Some(Fault::AccessDenied) => {
                let refusal = denied(incoming, &world.account.account_id);
                Reply::Whole(world.refuse(incoming, refusal))
            }
        }
    }
}

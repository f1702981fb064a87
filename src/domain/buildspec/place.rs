//! Where does the login have to stand: before which command of which phase?

use super::Placement;
use super::command;
use super::document::{Document, NodeId};
use super::login::Login;
use super::outline::{self, Holder, Outline, Phase};
use super::refusal::{Inside, Refusal, Unsupported};
use super::walk::{self, Pull};

/// A place that the text offers for one more command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Above this item of a list with dashes.
    AboveItem(NodeId),
    /// Before this element of a list in brackets.
    BeforeElement(NodeId),
    /// The first line of a literal text.
    FirstLine(NodeId),
    /// In a phase of this name, made above the phase with this key.
    NewPhase(&'static str, NodeId),
}

/// Where the login goes, and into which phase; or what speaks against one.
pub(super) fn place(
    document: &Document,
    outline: &Outline<'_>,
    login: &Login,
) -> Result<(Place, &'static str), Placement> {
    let pull = walk::first_pull(document, outline, login)?;
    hold(document, outline, pull).map_err(Placement::Refused)
}

/// The place that the pulling phase, or one before it, offers.
fn hold(document: &Document, outline: &Outline<'_>, pull: Pull) -> Result<(Place, &'static str), Refusal> {
    let phase = &outline.phases[pull.phase];
    let item = &phase.items[pull.item];
    let (line, column) = outline::spot(document, item.node);
    let unsupported = |what| Refusal::NotSupported { line, column, what };
    let inside = |because| Refusal::InsideScript { line, column, because };
    if let Some(because) = pull.inside {
        return Err(inside(because));
    }
    // `finally` is no place: by then the commands have run, or failed. Above the first of them is as good.
    let at = if item.finally { 0 } else { pull.item };
    if item.finally && phase.items[..pull.item].iter().any(|item| command::speaks_of_docker(item.text)) {
        return Err(unsupported(Unsupported::Finally));
    }
    let place = match phase.holder {
        Holder::Block(_) => Place::AboveItem(phase.items[at].node),
        Holder::Flow(_) => Place::BeforeElement(element(phase, at)),
        Holder::Literal(node) => Place::FirstLine(node),
        Holder::Shared(_) => return Err(unsupported(Unsupported::SharedList)),
        Holder::Scalar(_) => return earlier(outline, pull.phase).ok_or(inside(Inside::OneScalar)),
        Holder::Missing => return earlier(outline, pull.phase).ok_or(unsupported(Unsupported::Finally)),
    };
    Ok((place, phase.name))
}

/// The first element of a list in brackets; but what has to do with docker before the pull must stay before the login.
fn element(phase: &Phase<'_>, pull: usize) -> NodeId {
    let before = &phase.items[..pull];
    let at = if before.iter().any(|item| command::speaks_of_docker(item.text)) { pull } else { 0 };
    phase.items[at].node
}

/// A place in the phases before this one, all of which must have nothing to do with docker and run as the same user.
fn earlier(outline: &Outline<'_>, at: usize) -> Option<(Place, &'static str)> {
    let pulling = &outline.phases[at];
    if outline.phases[..at].iter().any(|phase| phase.items.iter().any(|item| command::speaks_of_docker(item.text))) {
        return None;
    }
    let same_user = |phase: &&Phase<'_>| phase.user == pulling.user;
    if let Some(phase) = outline.phases[..at].last() {
        let first = phase.items.first().filter(|item| !item.finally)?;
        return match phase.holder {
            _ if !same_user(&phase) => None,
            Holder::Block(_) => Some((Place::AboveItem(first.node), phase.name)),
            Holder::Flow(_) => Some((Place::BeforeElement(first.node), phase.name)),
            Holder::Literal(node) => Some((Place::FirstLine(node), phase.name)),
            Holder::Scalar(_) | Holder::Shared(_) | Holder::Missing => None,
        };
    }
    let name = if pulling.name == "install" { None } else { Some("pre_build") }?;
    let name = if pulling.name == "pre_build" { "install" } else { name };
    Some((Place::NewPhase(name, pulling.key), name)).filter(|_| pulling.user == outline.default_user)
}

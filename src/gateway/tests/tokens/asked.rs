//! A backend that answers later.

use std::sync::Mutex;

use super::*;
use crate::app::{Action, Denied};
use crate::authority::{
    Admission, Authority, Credential, Question, Reply, TokenError, Verify, Verifying,
};

/// Has every client wait, until the test answers.
#[derive(Clone, Default)]
struct Backend(Arc<Mutex<Vec<Box<dyn Reply>>>>);

impl Verify for Backend {
    fn verify(&self, _: &Credential<'_>, _: &mut Verifying) -> Result<Authority, TokenError> {
        Err(TokenError::Missing)
    }

    fn is_costly(&self) -> bool {
        false
    }

    fn admit(&self, _: &Request<'_>, _: &mut Verifying) -> Admission {
        Admission::Later(Box::new(self.clone()))
    }
}

impl Question for Backend {
    fn memory(&self) -> usize {
        100
    }

    fn ask(self: Box<Self>, reply: Box<dyn Reply>) {
        self.0.lock().unwrap().push(reply);
    }
}

/// Counts what it is asked.
#[derive(Default)]
struct Counts {
    authorised: usize,
    authorise: usize,
    upgrades: usize,
}

impl Handler for Counts {
    type Connection = ();
    type User = ();
    const TOKENS: bool = true;

    fn upgrade(&mut self, _: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
        self.upgrades += 1;
        Upgrade::Accept(())
    }

    fn authorised(&mut self, (): &mut (), _: &Authority) {
        self.authorised += 1;
    }

    fn authorise(&mut self, (): &(), _: Action<'_>) -> Result<(), Denied> {
        self.authorise += 1;
        Ok(())
    }

    fn message<'a>(&mut self, (): &mut (), _: Message<'a>, _: &mut Context<'_, 'a>) {}
}

/// Two cores that ask this backend.
fn asking(backend: &Backend) -> [Core<Counts>; 2] {
    cores_with(Counts::default).map(|core| {
        let Core { gateway, publisher, flag, config } = core;
        let gateway = gateway.with_authority(Some(Arc::new(backend.clone())), clock);
        Core { gateway, publisher, flag, config }
    })
}

/// What the application was asked about a client for which the backend has answered, and what was
/// answered to it.
fn answered(target: &str, was_closed: bool) -> ([usize; 3], Vec<Call>) {
    let backend = Backend::default();
    let [mut core, _] = asking(&backend);
    let (client, answer) = Client::connect(&mut core, id(7), target, "");
    assert_eq!((answer.as_str(), client.session.phase()), ("", Phase::Deciding));
    let reply = backend.0.lock().unwrap().pop().unwrap();
    assert!(reply.is_open());
    let all = crate::pubsub::Filter::new("#", 255).unwrap();
    let ann = Authority::new("ann", vec![all.clone()], vec![all], None).unwrap();
    reply.answer(Ok(ann));
    let mut out = Recorder::default();
    out.answered.extend(was_closed.then_some(id(7)));
    core.gateway.end_turn(Millis(1), 128, &mut out);
    let Counts { authorised, authorise, upgrades } = core.gateway.app();
    let counts = [*authorised, *authorise, *upgrades];
    close(&mut core, client);
    (counts, out.calls)
}

/// As by a server that stops, which has answered it with 503.
#[test]
fn an_answer_about_a_client_that_was_closed_meanwhile_has_no_effect() {
    for (target, expected) in [("/topics/t", [1, 1, 0]), ("/pubsub", [1, 0, 0]), ("/a", [0, 0, 1])]
    {
        let (counts, calls) = answered(target, false);
        assert_eq!(counts, expected, "{target}");
        assert!(!calls.is_empty() || target == "/topics/t", "{target}: {calls:?}");
        assert_eq!(answered(target, true), ([0; 3], Vec::new()), "{target}");
    }
}

/// The signature of a token takes the loop long, and a backend is asked on other threads.
#[test]
fn newcomers_wait_only_where_the_loop_verifies_them() {
    assert!(!cores()[0].gateway.newcomers_cost_much());
    assert!(guarded(|| Echo)[0].gateway.newcomers_cost_much());
    assert!(!asking(&Backend::default())[0].gateway.newcomers_cost_much());
}

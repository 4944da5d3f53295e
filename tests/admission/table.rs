//! A table of cases: each is tried whatever became of the others, and all that failed are reported together.

use serde_json::Value;
use support::{Answer, Call, Outcome};

use crate::world::World;

/// What must come of a case.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expect {
    Allowed,
    /// This policy refuses, in its own words.
    Vap(&'static str),
    /// Some policy refuses: two have reason to, and their order is the API server's.
    AnyVap,
    Crd,
    Rbac,
    /// RBAC refuses, or where this cluster lets Oz lend whole namespaces, so that RBAC would let it, this policy.
    RbacOr(&'static str),
    /// The binding of oz-request-template refuses, in the API server's words, since there is no template at all.
    NoTemplate,
    /// Refused with this code by what is no part of the gate.
    Code(u16),
}

use Expect::{AnyVap, Crd, NoTemplate, Rbac, RbacOr, Vap};

impl Expect {
    /// Must a policy refuse?
    pub(crate) fn is_policy(self) -> bool {
        matches!(self, Vap(_) | AnyVap)
    }

    fn holds(self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Expect::Allowed, Outcome::Allowed)
            | (AnyVap, Outcome::Policy(_))
            | (Crd, Outcome::Crd)
            | (Rbac | RbacOr(_), Outcome::Rbac) => true,
            (Vap(name) | RbacOr(name), Outcome::Policy(by)) => name == by,
            (NoTemplate, Outcome::PolicyFault(by, code)) => by == "oz-request-template" && *code == 422,
            (Expect::Code(code), Outcome::Other(got)) => code == *got,
            _ => false,
        }
    }
}

/// The cases of one test.
pub(crate) struct Table<'a> {
    subject: String,
    world: &'a World,
    tried: usize,
    failures: Vec<String>,
}

impl<'a> Table<'a> {
    pub(crate) fn new(subject: &str, world: &'a World) -> Table<'a> {
        Table { subject: format!("{subject}, {:?}", world.cast), world, tried: 0, failures: Vec::new() }
    }

    /// One case: this person of the world does this.
    pub(crate) async fn case(&mut self, name: &str, expect: Expect, who: &str, call: Call) -> Answer {
        let answer = self.world.who(who).call(call).await.unwrap_or_else(|error| panic!("{name}: {error:#}"));
        let outcome = Outcome::of(&answer);
        self.note(
            name,
            expect.holds(&outcome),
            &format!("expected {expect:?}, got: {outcome}\n       {answer}"),
        );
        answer
    }

    /// A case whose object the following ones need.
    pub(crate) async fn object(&mut self, name: &str, who: &str, call: Call) -> Value {
        self.case(name, Expect::Allowed, who, call).await.body
    }

    /// A fact that is no answer to a request.
    pub(crate) fn fact(&mut self, name: &str, holds: bool, seen: &str) {
        self.note(name, holds, &format!("seen: {seen}"));
    }

    fn note(&mut self, name: &str, holds: bool, details: &str) {
        self.tried += 1;
        println!("{} {}: {name}", if holds { "PASS" } else { "FAIL" }, self.subject);
        if !holds {
            println!("       {details}");
            self.failures.push(format!("{name}: {details}"));
        }
    }

    /// Fails the test with all that failed.
    pub(crate) fn finish(self) {
        let Table { subject, tried, failures, .. } = self;
        println!("{subject}: {} of {tried} cases passed", tried - failures.len());
        assert!(
            failures.is_empty(),
            "{subject}: {} of {tried} cases failed\n  {}",
            failures.len(),
            failures.join("\n  ")
        );
    }
}

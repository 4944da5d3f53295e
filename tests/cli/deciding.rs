//! Deciding and taking back: who is shown what, who may, and that what was revoked is refused.

use crate::home::Home;
use crate::stage::{ASKED, FREE, staged};

#[tokio::test]
async fn pending_is_what_one_may_decide() {
    staged("pending", async |world| {
        let alice = Home::of(world, "alice");
        let name = alice.must(&["access-request", ASKED, "--reason", "INC-1", "--wait", "none"]);
        world.only_request().await;
        let expected = format!("accessrequest.ozaccess.io/{name}");
        let bob = Home::of(world, "bob");
        assert_eq!(bob.must(&["pending", "-o", "name"]), expected);
        // Not who asked, whatever else she may.
        world.ns.bind("alice-decides", "oz-approver", &[support::rights::user("alice")]).await.unwrap();
        world.until_may(&world.alice, "approve", "ozaccess.io", "accesstemplates", true).await.unwrap();
        assert_eq!(alice.must(&["pending", "-o", "name"]), "");
        let own = alice.oz(&["approve", &name, "-y"]);
        assert_eq!(own.code, 3, "{own}");
        // Not who may only look.
        world.ns.bind("looking", "oz-requester", &[support::rights::user("carol")]).await.unwrap();
        world.until_may(&world.carol, "list", "ozaccess.io", "accessrequests", true).await.unwrap();
        let carol = Home::of(world, "carol");
        assert_eq!(carol.must(&["pending", "-o", "name"]), "");
        assert_eq!(carol.must(&["requests", "-o", "name"]), expected);
        let refused = carol.oz(&["approve", &name, "-y"]);
        assert_eq!(refused.code, 3, "{refused}");
        // Not what is decided.
        bob.must(&["approve", &name, "-y"]);
        world.until_phase(&name, "Active").await;
        assert_eq!(bob.must(&["pending", "-o", "name"]), "");
    })
    .await;
}

#[tokio::test]
async fn an_approval_in_a_pipe_needs_yes() {
    staged("yes", async |world| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let name = alice.must(&["access-request", ASKED, "--reason", "INC-1", "--wait", "none"]);
        world.only_request().await;
        let said = bob.oz(&["approve", &name]);
        assert_eq!(said.code, 2, "{said}");
        assert!(said.stderr.contains("-y"), "{said}");
        assert!(world.request(&name).await.unwrap().spec.decisions.is_empty());
        let said = bob.oz(&["approve", &name, "-y"]);
        assert_eq!((said.code, said.stdout().as_str()), (0, ""), "{said}");
        assert!(said.stderr.contains("exec into pod"), "what is granted is shown: {said}");
        assert!(said.stderr.contains("(1 of 1)"), "{said}");
        // Once more is no failure, and nothing new.
        assert_eq!(bob.oz(&["approve", &name, "-y"]).code, 0);
        assert_eq!(world.request(&name).await.unwrap().spec.decisions.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn all_of_someone_is_revoked_and_verified() {
    staged("revoke", async |world| {
        let (alice, bob) = (Home::of(world, "alice"), Home::of(world, "bob"));
        let (first, second) = (world.borrowed(&alice), world.borrowed(&alice));
        let waits = alice.must(&["access-request", ASKED, "--reason", "INC-1", "--wait", "none"]);
        let context = alice.contexts().pop().unwrap();
        let exec = ["--context", &context, "exec", "web-0", "-c", "main", "--", "true"];
        assert_eq!(alice.kubectl(&exec).code, 0);
        let said = bob.oz(&["revoke", "--user", "alice", "-n", &world.ns.name, "--verify"]);
        assert_eq!((said.code, said.stdout().as_str()), (0, ""), "{said}");
        for name in [&first, &second, &waits] {
            assert!(said.stderr.contains(&format!("Revoked {name}, held by alice.")), "{said}");
        }
        // Verified: from now on it is refused, without any waiting.
        assert_ne!(alice.kubectl(&exec).code, 0);
        assert_eq!(alice.oz(&["shell", &first]).code, 6);
        let nothing = bob.oz(&["revoke", "--user", "alice", "-n", &world.ns.name]);
        assert_eq!(nothing.code, 0, "{nothing}");
        assert!(nothing.stderr.contains("holds nothing"), "{nothing}");
    })
    .await;
}

#[tokio::test]
async fn nobody_uses_or_ends_what_is_anothers() {
    staged("others", async |world| {
        let alice = Home::of(world, "alice");
        let name = world.borrowed(&alice);
        let bob = Home::of(world, "bob").oz(&["shell", &name]);
        assert_eq!(bob.code, 3, "{bob}");
        assert!(bob.stderr.contains("lent to alice"), "{bob}");
        world.ns.bind("looking", "oz-requester", &[support::rights::user("carol")]).await.unwrap();
        world.until_may(&world.carol, "get", "ozaccess.io", "accessrequests", true).await.unwrap();
        for verb in ["release", "revoke"] {
            let carol = Home::of(world, "carol").oz(&[verb, &name]);
            assert_eq!(carol.code, 3, "{verb}: {carol}");
        }
        let said = alice.oz(&["shell", &name, "--", "echo", FREE]);
        assert_eq!(said.stdout().trim(), FREE, "{said}");
    })
    .await;
}

//! `oz token --self`: the credential of an account that mints its own next token, as a partner's does. It is on this machine
//! alone. Each token is followed by another long before it ends, for as long as any of them is used.

use std::os::unix::process::parent_id;

use jiff::{SignedDuration, Timestamp};
use oz_shared::plain::digest;
use serde_json::json;

use super::{EXEC_INFO, Failure, Look, here, look, print, version};
use crate::app::App;
use crate::cache::{Cache, Kept};
use crate::error::Error;
use crate::exit;
use crate::kube::{Cluster, Fault, SessionError, Token, Way, deadline, mint_for};
use crate::kubeconfig::uid_of;

/// What part of its life a token is used before the next is had: early, so that who comes seldom comes in time.
const PART: i64 = 5;
/// Where an end is not known.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Answers as a credential plugin does.
pub(super) async fn answer(account: &str, app: &App) -> Result<u8, Error> {
    let version = version(std::env::var(EXEC_INFO).ok().as_deref())?;
    let mut way = Way::find(&app.settings).await?;
    let (cache, key) = (folder()?, key(&way, account));
    let (kept, turn) = match look(&cache, &key).await {
        Look::Good(kept) => return print(app, version, &kept.secret, kept.renew),
        Look::Old(kept, turn) => (kept, turn),
    };
    let Some(kept) = kept else {
        return Err(Error::new(exit::ENDED, "its credential is not on this machine any more").hint(ASK));
    };
    if kept.end <= Timestamp::now() {
        return Err(
            Error::new(exit::ENDED, "its last token has ended, as it was not used for too long").hint(ASK)
        );
    }
    as_itself(&mut way, &kept.secret)?;
    let cluster = Cluster::by(way, &app.settings)?;
    let until = deadline(account).unwrap_or_else(|| cluster.now() + DAY);
    let renewed = mint_for(&cluster, account, uid_of(&kept.secret).as_deref(), until).await;
    match renewed {
        Ok(token) => {
            let kept = keeps(&cluster, &key, account, &token);
            // Once the new one is lost the old one must do; it lives on for long.
            if let Err(error) = cache.store(&kept) {
                app.printer.warn(&format!("the next token could not be kept: {error}"));
            }
            // Who waited for its turn finds the new one.
            drop(turn);
            print(app, version, &kept.secret, kept.renew)
        }
        Err(SessionError::Fault(fault)) => match Failure::from(fault) {
            Failure::Away(error) if error.code == exit::DENIED => {
                let message = "the cluster does not know its token any more: the access was ended, or its account made anew";
                Err(Error::new(exit::ENDED, message).hint(ASK))
            }
            // The token that there is goes on being good, whatever keeps it from the next.
            Failure::Away(error) | Failure::Final(error) => {
                app.printer.warn(&format!("the token could not be renewed: {}", error.message));
                print(app, version, &kept.secret, kept.end)
            }
        },
        Err(error) => Err(error.into()),
    }
}

const ASK: &str = "ask who lent it: oz kubeconfig export there, oz kubeconfig import here";

/// Where the credentials of partners are.
///
/// # Errors
/// There is no such place, or it is not the user's alone.
pub(in crate::commands) fn folder() -> Result<Cache, Error> {
    let none = "there is no place of your own for a credential that renews itself (XDG_STATE_HOME)";
    Cache::of_partners().ok_or_else(|| Error::internal(none))
}

/// The name under which a credential is kept: the account's, with all by which its cluster is known, so that who names another
/// authority for the same address gets at none that is there.
pub(in crate::commands) fn key(way: &Way, account: &str) -> String {
    let config = &way.config;
    let server = config.cluster_url.to_string();
    digest(&json!([server.trim_end_matches('/'), config.root_cert, config.tls_server_name, account]))
}

/// Has everything sent by this token, and by nothing else that the context names.
fn as_itself(way: &mut Way, token: &str) -> Result<(), Fault> {
    let bearer = serde_json::from_value(json!({"token": token}));
    way.config.auth_info = bearer.map_err(|error| Fault::Config(error.to_string()))?;
    way.config.headers.clear();
    Ok(())
}

/// What is kept of a token.
pub(in crate::commands) fn keeps(cluster: &Cluster, key: &str, account: &str, token: &Token) -> Kept {
    let now = cluster.now();
    let life = token.expires.as_second() - now.as_second();
    let renew = Timestamp::from_second(now.as_second() + life / PART).unwrap_or(now);
    Kept {
        key: key.to_owned(),
        request: String::new(),
        account: account.to_owned(),
        renew: here(cluster, if token.lasts() { token.until } else { renew }),
        end: here(cluster, token.end()),
        secret: token.secret.clone(),
        asker: parent_id(),
        asked: Timestamp::now(),
    }
}

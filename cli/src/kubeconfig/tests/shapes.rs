//! Texts of every kind: what comes in, stays and goes.

use super::*;

/// As a careful person would write it.
const WRITTEN: &str = "\
# My clusters. Do not touch!
apiVersion: v1
kind: Config
preferences: {}
clusters:   # two of them
  # the first
  - name: 'one'   # quoted
    cluster: &base
      server: \"https://one\"   # here
      certificate-authority-data: |
        QUJD
        # not a comment

    # still about one
  # the second
  - cluster:
      <<: *base
    name: two
# People
users:
- name: me
  user: {token: \"x\", tags: [a, b]}
contexts:
-
  name: work
  context:
    cluster: one
    user: me

current-context: work # always
# The end.
";

/// A put shows up, leaves every line, and goes without a trace.
fn there_and_back(text: &str) -> String {
    let home = Home::with(text);
    let before: Value = serde_yaml::from_str(text).unwrap();
    home.put("oz-a").unwrap();
    let with = home.text();
    let tree = home.tree();
    for list in ["clusters", "users", "contexts"] {
        let mut expected = names(&before, list);
        expected.push("oz-a".to_owned());
        assert_eq!(names(&tree, list), expected, "{with}");
    }
    assert_eq!(tree["current-context"], before["current-context"]);
    home.put("oz-a").unwrap();
    assert_eq!(home.text(), with, "a second put must change nothing");
    let mut other = entry("oz-a");
    other.credential = Credential::Token("other".to_owned());
    home.store.put(&other).unwrap();
    assert_eq!(home.text(), with.replace(TOKEN, "other"));
    home.put("oz-b").unwrap();
    assert!(home.store.remove("oz-b").unwrap());
    assert!(home.store.remove("oz-a").unwrap());
    for list in ["clusters", "users", "contexts"] {
        assert_eq!(names(&home.tree(), list), names(&before, list));
    }
    home.text()
}

#[test]
fn comments_anchors_and_quotes_stay() {
    assert_eq!(there_and_back(WRITTEN), WRITTEN);
    let home = Home::with(WRITTEN);
    home.put("oz-a").unwrap();
    assert!(kept(WRITTEN, &home.text()), "{}", home.text());
}

#[test]
fn line_ends_stay() {
    let text = WRITTEN.replace('\n', "\r\n");
    assert_eq!(there_and_back(&text), text);
    let home = Home::with(&text);
    home.put("oz-a").unwrap();
    assert_eq!(home.text().matches('\n').count(), home.text().matches("\r\n").count());
}

#[test]
fn a_byte_order_mark_stays() {
    let text = format!("\u{feff}{WRITTEN}");
    assert_eq!(there_and_back(&text), text);
}

#[test]
fn what_a_new_file_says() {
    let home = Home::empty();
    home.put("oz-a").unwrap();
    assert_eq!(
        home.text(),
        r#"apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority-data: "QUJD"
    extensions:
    - extension:
        expires: "2026-11-22T12:00:00Z"
        request: "shop/api-exec-7k2p"
      name: "ozaccess.io"
    server: "https://10.0.0.1:6443"
  name: "oz-a"
users:
- name: "oz-a"
  user:
    extensions:
    - extension:
        expires: "2026-11-22T12:00:00Z"
        request: "shop/api-exec-7k2p"
      name: "ozaccess.io"
    token: "s3cr3t-t0ken"
contexts:
- context:
    cluster: "oz-a"
    extensions:
    - extension:
        expires: "2026-11-22T12:00:00Z"
        request: "shop/api-exec-7k2p"
      name: "ozaccess.io"
    namespace: "shop"
    user: "oz-a"
  name: "oz-a"
"#
    );
}

#[test]
fn an_exec_credential() {
    let home = Home::empty();
    let mut exec = entry("oz-a");
    exec.credential = Credential::Exec {
        command: "oz".to_owned(),
        args: vec!["token".to_owned(), "a".to_owned()],
        env: vec![("X".to_owned(), "yes".to_owned())],
    };
    (exec.tls_server_name, exec.proxy_url) = (Some("api".to_owned()), Some("http://p:1".to_owned()));
    exec.insecure_skip_tls_verify = true;
    home.store.put(&exec).unwrap();
    let tree = home.tree();
    let user = &tree["users"][0]["user"]["exec"];
    assert_eq!(user["args"][1], "a");
    assert_eq!(user["env"][0]["value"], "yes");
    assert_eq!(
        (user["interactiveMode"].as_str(), user["provideClusterInfo"].as_bool()),
        (Some("Never"), Some(false))
    );
    assert!(user["installHint"].as_str().unwrap().contains("install"));
    let cluster = &tree["clusters"][0]["cluster"];
    assert_eq!(cluster["tls-server-name"], "api");
    assert_eq!(cluster["proxy-url"], "http://p:1");
    assert_eq!(cluster["insecure-skip-tls-verify"], true);
    assert!(cluster.get("certificate-authority-data").is_none());
}

#[test]
fn nothing_to_go_by() {
    for text in
        ["", "\n", "# mine\n", "---\n", "# mine", "\u{feff}", "--- # mine\n", "apiVersion: v1", "{}", "{ }\n"]
    {
        let home = Home::with(text);
        home.put("oz-a").unwrap_or_else(|error| panic!("{text:?}: {error}"));
        home.put("oz-b").unwrap();
        assert_eq!(home.store.ours().unwrap().len(), 2);
        let body = text.trim_end_matches(['}', '\n', ' ']);
        assert!(home.text().starts_with(body), "{text:?} became {}", home.text());
        assert!(home.store.remove("oz-a").unwrap() && home.store.remove("oz-b").unwrap());
        assert!(home.text().starts_with(body));
    }
}

#[test]
fn empty_lists_in_every_form() {
    for empty in ["", " null", " ~", " []", " [ ]", " [\n  ]", " # none", " null # none", " [] # none"] {
        for end in ["", "\n", "\n# below\n", "\nkind: Config\n"] {
            let text = format!("contexts:{empty}\nusers: []\nclusters:{empty}{end}");
            let home = Home::with(&text);
            home.put("oz-a").unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(home.text().matches("# none").count(), text.matches("# none").count());
            assert_eq!(home.text().matches("# below").count(), text.matches("# below").count());
            let after = there_and_back(&text);
            assert!(
                after.matches("[]").count() == 3 && after.matches("# ").count() == text.matches("# ").count()
            );
        }
    }
}

#[test]
fn json_stays_json() {
    let pretty = serde_json::to_string_pretty(&serde_yaml::from_str::<Value>(WRITTEN).unwrap()).unwrap();
    let tabs = pretty.replace("  ", "\t");
    let flat = "{\"clusters\":[],\"users\":null,\"contexts\":[{\"name\":\"x\"}]}".to_owned();
    let bare = "{\n  \"kind\": \"Config\"\n}\n".to_owned();
    for text in [pretty.clone(), tabs, flat, bare] {
        let home = Home::with(&text);
        home.put("oz-a").unwrap();
        home.put("oz-b").unwrap();
        home.store.set_current("oz-b").unwrap();
        let json: serde_json::Value = serde_json::from_str(&home.text()).unwrap();
        assert_eq!(json["users"].as_array().unwrap().last().unwrap()["user"]["token"], TOKEN);
        assert_eq!(json["current-context"], "oz-b");
        home.store.prune(time("2027-01-01T00:00:00Z"), |_| true).unwrap();
        serde_json::from_str::<serde_json::Value>(&home.text()).unwrap();
        assert!(!home.text().contains(TOKEN));
    }
    assert_eq!(there_and_back(&pretty), pretty);
}

#[test]
fn lists_in_brackets() {
    let text = "clusters: [{name: a}, {name: b, cluster: {x: \"],\"}} , # last, not least\n]\n\
                users: [{name: a}]\ncontexts: [ { name: a } ] # c\n";
    assert_eq!(there_and_back(text), text);
    let home = Home::with("clusters: []\nusers: []\ncontexts: [{name: x}]\n");
    for name in ["oz-a", "oz-b", "oz-c", "oz-d"] {
        home.put(name).unwrap();
    }
    for (gone, left) in [("oz-b", 3), ("oz-d", 2), ("oz-a", 1), ("oz-c", 0)] {
        home.store.remove(gone).unwrap();
        assert_eq!(home.store.ours().unwrap().len(), left);
    }
    assert_eq!(home.text(), "clusters: []\nusers: []\ncontexts: [{name: x}]\n");
}

#[test]
fn other_documents_stay() {
    let text = "---\nclusters: []\nusers: []\ncontexts: []\n---\nclusters:\n- name: other\n...\n";
    let home = Home::with(text);
    home.put("oz-a").unwrap();
    assert!(home.text().ends_with("---\nclusters:\n- name: other\n...\n"));
    home.store.remove("oz-a").unwrap();
    assert_eq!(home.text(), text);
}

#[test]
fn the_last_value_may_be_a_block_scalar() {
    for scalar in ["|", "|-", "|+", ">-"] {
        for blank in ["", "\n", "\n\n"] {
            let text = format!("users:\n- name: x\n  user:\n    note: {scalar}\n      a\n      # b\n{blank}");
            assert_eq!(there_and_back(&text), format!("{text}clusters: []\ncontexts: []\n"));
        }
    }
}

#[test]
fn indented_and_odd_but_sound() {
    let text = "  \"clusters\" :\n  - name: a\n  'users': \n      - name: b\n  contexts: null\n";
    let after = there_and_back(text);
    assert_eq!(after, text.replace("contexts: null", "contexts: []"));
}

#[test]
fn metacharacters_stay_strings() {
    let odd = [
        "on",
        "1e3",
        "null",
        "yes",
        "0x1f",
        "~",
        "",
        "a: b # c",
        "'\"\\",
        "- x",
        "*a",
        "ü\u{1f600}\u{85}\u{2028}",
        "a\tb\nc",
    ];
    for value in odd {
        for text in ["", "{}", "clusters: []\n"] {
            let home = Home::with(text);
            let mut odd = entry("oz-0x1f");
            odd.namespace = value.to_owned();
            odd.credential = Credential::Token(value.to_owned());
            odd.server = value.to_owned();
            home.store.put(&odd).unwrap();
            assert_eq!(home.tree()["users"][0]["user"]["token"], value);
            let ours = home.store.ours().unwrap().remove(0);
            assert_eq!((ours.namespace.as_deref(), ours.server.as_deref()), (Some(value), Some(value)));
            assert!(home.store.put(&odd).unwrap().files.is_empty());
        }
    }
}

#[test]
fn malformed_is_refused_and_untouched() {
    for (text, what) in [
        ("clusters: [\n", "not valid YAML"),
        ("clusters:\n- name: a\n b: s3cr3t-t0ken: x\n", "not valid YAML"),
        ("clusters: []\nclusters: []\n", "twice"),
        ("users:\n- name: a\n  user:\n    token: x\n    token: s3cr3t-t0ken\n", "twice"),
        ("- a\n", "not a mapping"),
        ("just words", "not a mapping"),
        ("clusters: 7\n", "must be lists"),
        ("clusters:\n  a: b\n", "must be lists"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
          d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]\n\
          g: [*e,*e,*e,*e,*e,*e,*e,*e]\n",
            "beyond reason",
        ),
    ] {
        let home = Home::with(text);
        let error = home.put("oz-a").unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{text:?}: {error}");
        let words = error.to_string();
        assert!(words.contains(what) && words.contains("/config") && !words.contains(TOKEN), "{words}");
        assert_eq!(home.text(), text);
        assert_eq!(home.names(), ["config"]);
    }
}

#[test]
fn what_cannot_be_edited_is_refused_and_untouched() {
    for text in [
        "x: &x [{name: a}]\nclusters: *x\n",
        "clusters: &c\n- name: a\nmore: *c\n",
        "---\n---\nclusters: []\n",
        "clusters: !mine []\n",
        "\"\\u0063lusters\": []\n",
    ] {
        let home = Home::with(text);
        let error = home.put("oz-a").unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{text:?}: {error}");
        assert_eq!(home.text(), text);
        assert_eq!(home.names(), ["config"]);
    }
}

#[test]
fn deep_nesting_is_refused() {
    let home = Home::with(&format!("a: {}\n", "[".repeat(200_000)));
    assert!(matches!(home.put("oz-a").unwrap_err(), Error::Malformed { .. }));
}

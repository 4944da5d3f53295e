use super::*;

#[test]
fn reads() {
    assert_eq!(TimeTrigger::parse("Never", ""), Ok(TimeTrigger::Never));
}

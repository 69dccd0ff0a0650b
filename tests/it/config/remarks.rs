//! The rules about Nium's remarks: how they are written, and what the built-in ones say.

use reinstate::domain::remark::RemarkClass;
use reinstate::flow::classify::{Rule, classify};

use super::*;

/// The first built-in rule that knows `remark`, as the service finds it.
fn verdict(remark: &str) -> Option<(String, RuleClass, Vec<String>)> {
    let rules = load(&[]).flow.rules;
    let known: Vec<Rule> = rules
        .iter()
        .map(|rule| {
            let class = match rule.class {
                RuleClass::Fixable => RemarkClass::Fixable,
                RuleClass::Final => RemarkClass::Final,
            };
            Rule::new(&rule.name, class, &rule.contains, &rule.fields)
        })
        .collect();
    let name = classify(remark, &known).rule?;
    let rule = rules.into_iter().find(|rule| rule.name == name)?;
    Some((rule.name, rule.class, rule.fields))
}

fn rule_of(remark: &str) -> String {
    verdict(remark).map_or_else(|| "nobody".to_owned(), |(name, ..)| name)
}

#[test]
fn the_built_in_rules_know_what_officers_write() {
    let remarks = [
        ("POI does not match the declared name", "name"),
        ("KYC FAILED|APPLICANT -> NAME MISMATCH", "name"),
        ("DOB on ID differs", "date-of-birth"),
        ("Incorrect nationality declared", "nationality"),
        ("Address mismatch, please resubmit", "address"),
        ("Proof of address older than 3 months", "proof-of-address"),
        ("Passport expired", "document"),
        ("POI blurred", "document"),
        ("Invalid email address", "contact"),
        ("TIN missing", "tax"),
        ("Selfie: face does not match", "selfie"),
        ("Application incomplete", "incomplete"),
        ("Customer is on OFAC list", "sanctions"),
        ("True hit: SANCTIONS|name mismatch", "sanctions"),
        ("High-risk customer", "risk"),
        ("Non-compliance with policy", "risk"),
        ("Suspected fraud; document expired", "fraud"),
        ("prohibited_industry", "prohibited"),
        ("Customer deceased", "deceased"),
        ("Applicant is underage", "underage"),
        ("Duplicate customer", "duplicate"),
        ("Adverse media found", "financial-crime"),
    ];
    for (remark, rule) in remarks {
        assert_eq!(rule_of(remark), rule, "{remark}");
    }
}

#[test]
fn the_built_in_rules_leave_alone_what_says_nothing() {
    for remark in
        ["", "KYC FAILED", "APPLICANT -> VERIFIED|DIRECTOR -> VERIFIED", "KYC : SCREENING COMPLETED|VERIFIED"]
    {
        assert_eq!(verdict(remark), None, "{remark}");
    }
}

#[test]
fn final_rules_come_first_and_fixable_ones_say_what_to_fix() {
    let rules = load(&[]).flow.rules;
    let finals = rules.iter().take_while(|rule| rule.class == RuleClass::Final).count();
    assert!(finals > 0 && rules[finals..].iter().all(|rule| rule.class == RuleClass::Fixable));
    let bare: Vec<&str> =
        rules[finals..].iter().filter(|rule| rule.fields.is_empty()).map(|rule| rule.name.as_str()).collect();
    assert_eq!(bare, ["incomplete"], "nobody can say which field an incomplete application lacks");
}

#[test]
fn every_fault_of_every_rule_is_told() {
    let long = "x".repeat(201);
    let toml = format!(
        r#"
        [[flow.rules]]
        name = "Name"
        class = "maybe"
        [[flow.rules]]
        name = "good"
        class = "final"
        contains = ["high risk"]
        [[flow.rules]]
        name = "good"
        class = "final"
        contains = ["- -"]
        fields = ["firstName"]
        kind = "x"
        [[flow.rules]]
        name = "good"
        class = "fixable"
        contains = ["{long}"]
        fields = ["first name"]
        [[flow.rules]]
        class = 3
        contains = "risk"
        fields = [1]
        [[flow.rules]]
        name = "good"
        class = "final"
        contains = ["y"]
        "#
    );
    let told = Folder::new().refused(&toml);
    let expected = [
        r#"rule 1 ("Name") must have a name of 1 to 64 small letters, digits and hyphens"#,
        r#"rule 1 ("Name") has a class that must be one of fixable, final, not "maybe""#,
        r#"rule 1 ("Name") contains no phrase, so it would never match"#,
        r#"rule 3 ("good") has the unknown key "kind"; a rule has name, class, contains, fields"#,
        r#"rule 3 ("good") contains the phrase "- -", which has no word or is too long"#,
        r#"rule 3 ("good") is final, so its fields would never be asked for"#,
        r#"rule 4 ("good") contains the phrase "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…", which has no word or is too long"#,
        r#"rule 4 ("good") has the field "first name", which is not a name such as firstName"#,
        "rule 5 has no name",
        "rule 5 has as class a whole number instead of text",
        "rule 5 has as contains text instead of a list",
        "rule 5 has in fields a whole number instead of text",
        r#"rule 6 ("good") has the name of an earlier rule"#,
    ];
    let told: Vec<&str> =
        told.lines().filter_map(|line| line.split_once("): ").map(|(_, why)| why)).collect();
    assert_eq!(told, expected);
}

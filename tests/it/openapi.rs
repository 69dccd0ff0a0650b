//! The description of the API is complete and true: every route is in it, nothing else is, its examples work, and every code
//! of a problem that the source has is in the closed list.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, TOKEN};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

async fn described(house: &House) -> Value {
    let answer = house.http.get(format!("http://{}/openapi.json", house.admin)).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    answer.json().await.unwrap()
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            all.push((path.clone(), method.clone(), operation.clone()));
        }
    }
    all
}

fn sources(folder: &std::path::Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// What stands between quotes behind each of these openings.
fn quoted<'a>(text: &'a str, opening: &str) -> impl Iterator<Item = &'a str> {
    text.split(opening).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_described_and_every_description_is_a_route() {
    let house = House::start().await;
    let document = described(&house).await;
    let mut by_path: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, method, operation) in operations(&document) {
        by_path.entry(path).or_default().insert(method.clone());
        assert!(!operation["summary"].as_str().unwrap().is_empty() && operation["responses"].is_object());
    }
    let id = "0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01";
    for (path, methods) in &by_path {
        let public = path == "/callback/compliance" || path == "/webhook";
        let listener = if public { house.public } else { house.admin };
        for method in METHODS {
            let url = format!("http://{listener}{}", path.replace("{id}", id));
            let asked = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let status = house.http.request(asked, url).send().await.unwrap().status().as_u16();
            if methods.contains(method) {
                assert!(![404, 405].contains(&status), "{method} {path}: {status}");
            } else {
                assert_eq!(status, 405, "{method} {path} is not described");
            }
        }
    }
    // Routes that the source names and nobody described.
    let mut files = Vec::new();
    sources(std::path::Path::new("src/http"), &mut files);
    // Pages are for people.
    let for_programs = |path: &str| !path.contains("/console/") && !path.contains("/correct/");
    let files = files.iter().filter(|(path, _)| for_programs(path));
    let named: BTreeSet<String> =
        files.flat_map(|(_, text)| quoted(text, ".route(")).map(str::to_owned).collect();
    assert!(named.len() > 20, "{named:?}");
    for path in named {
        assert!(by_path.contains_key(&path), "{path} is not described");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_is_in_the_closed_list_and_every_reference_leads_somewhere() {
    let house = House::start().await;
    let document = described(&house).await;
    let text = document.to_string();
    for name in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
    let mut files = Vec::new();
    sources(std::path::Path::new("src/http"), &mut files);
    let listed = &files.iter().find(|(path, _)| path.ends_with("problems.rs")).unwrap().1;
    for (path, source) in files.iter().filter(|(path, _)| !path.contains("openapi")) {
        let source = source.split("#[cfg(test)]").next().unwrap().replace("FieldProblem::new(", "");
        for call in source.split("Problem::new(").skip(1) {
            let Some(code) = call.split(')').next().and_then(|call| call.split('"').nth(1)) else { continue };
            assert!(listed.contains(&format!("\"{code}\",")), "{code} of {path} is not in the list");
        }
    }
    for (path, method, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(!response["description"].as_str().unwrap().is_empty(), "{method} {path} {status}");
        }
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_answered_as_described() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    let document = described(&house).await;
    let mut sent = 0;
    for (path, method, operation) in operations(&document) {
        let Some(examples) = operation.pointer("/requestBody/content/application~1json/examples") else {
            continue;
        };
        let listener = if path == "/webhook" { house.public } else { house.admin };
        for example in examples.as_object().unwrap().values() {
            let url = format!("http://{listener}{}", path.replace("{id}", &id));
            let asked = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answer = house
                .http
                .request(asked, url)
                .bearer_auth(TOKEN)
                .json(&example["value"])
                .send()
                .await
                .unwrap();
            let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap());
            assert!(
                operation["responses"][status.to_string()].is_object(),
                "{method} {path}: {status} {body}"
            );
            // An example that is no request at all would be refused so. Nothing waits for a second person here.
            assert!(
                ![400, 404].contains(&status) || path == "/v1/approvals/{id}",
                "{method} {path}: {status} {body}"
            );
            sent += 1;
        }
    }
    assert!(sent > 10, "{sent}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_has_every_operation_and_loads_nothing() {
    let house = House::start().await;
    let document = described(&house).await;
    let answer = house.http.get(format!("http://{}/docs", house.admin)).send().await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("script") && !policy.contains("unsafe"),
        "{policy}"
    );
    let page = answer.text().await.unwrap();
    for (.., operation) in operations(&document) {
        assert!(page.contains(&format!("id=\"{}\"", operation["operationId"].as_str().unwrap())));
    }
    for forbidden in ["<script", "src=", "http://", "https://", "@import"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_changes_only_on_purpose() {
    let house = House::start().await;
    let mut document = described(&house).await;
    document["info"]["version"] = json!("…");
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
    house.close().await;
}

/// A token of this role, made beside the running service.
async fn token_of(house: &House, role: &str) -> String {
    let made = tokio::process::Command::new(env!("CARGO_BIN_EXE_reinstate"))
        .args(["token", "create", "--role", role, "--name", role])
        .envs(house.env())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(made.stdout).unwrap();
    said.split_whitespace().find(|word| word.len() > 40).unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_may_do_what_is_described_and_no_more() {
    let house = House::start().await;
    let document = described(&house).await;
    let mut tokens = Vec::new();
    for (role, may) in
        [("viewer", &["viewer"][..]), ("app", &["viewer", "app"]), ("officer", &["viewer", "app", "officer"])]
    {
        tokens.push((token_of(&house, role).await, role, may));
    }
    for (path, method, operation) in operations(&document) {
        let Some(needed) = operation["x-role"].as_str() else { continue };
        for (token, role, may) in &tokens {
            let url = format!("http://{}{}", house.admin, path.replace("{id}", "not-an-id"));
            let asked = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let status =
                house.http.request(asked, url).bearer_auth(token).send().await.unwrap().status().as_u16();
            assert_eq!(status != 403, may.contains(&needed), "{role}: {method} {path} says {status}");
        }
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_no_text_is_answered_as_described() {
    let house = House::start().await;
    let document = described(&house).await;
    for (path, method, operation) in operations(&document).iter().filter(|(path, ..)| path.contains("{id}")) {
        let url = format!("http://{}{}", house.admin, path.replace("{id}", "%FF"));
        let asked = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let answer = house.http.request(asked, url).bearer_auth(TOKEN).body("{}").send().await.unwrap();
        let (status, problem) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
        let described = operation["responses"][status.to_string()].to_string();
        let code = problem["code"].as_str().unwrap();
        assert!(described.contains(&format!("\"{code}\"")), "{method} {path}: {status} {code}");
    }
    house.close().await;
}

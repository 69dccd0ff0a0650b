//! `/docs`: the description for people, made from the same document. No script, no third party; works from the keyboard, at
//! 320 px, in light and dark.

use std::fmt::Write as _;

use serde_json::Value;

use super::problems;

pub(super) const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--back:#ffffff;--box:#f6f8fa;--mark:#0b5cad;--bad:#a3262e}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#a3adb8;--line:#3d444d;--back:#0d1117;--box:#161b22;--mark:#79b8ff;--bad:#ff9492}}
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
a{color:var(--mark)}a:focus-visible,summary:focus-visible{outline:3px solid var(--mark);outline-offset:2px}
header,main,nav{max-width:60rem;margin:0 auto;padding:0 1rem}header{padding-top:1.5rem}h1{margin:0 0 .25rem;font-size:1.75rem}
h2{margin:2.5rem 0 .5rem;padding-bottom:.25rem;border-bottom:1px solid var(--line)}h3{margin:0;font-size:1.05rem;overflow-wrap:anywhere}
h4{margin:1.1rem 0 .3rem;font-size:.95rem}.soft{color:var(--soft)}nav ul{list-style:none;padding:0;columns:20rem;column-gap:2rem}nav li{break-inside:avoid;padding:.15rem 0;overflow-wrap:anywhere}
article{margin:1rem 0;padding:1rem;border:1px solid var(--line);border-radius:.5rem}article p{margin:.4rem 0}
.verb{display:inline-block;min-width:4.2rem;font-weight:700;color:var(--mark)}code,pre{font:.875em/1.5 ui-monospace,monospace}
code{overflow-wrap:anywhere}pre{margin:.3rem 0;padding:.75rem;overflow-x:auto;background:var(--box);border:1px solid var(--line);border-radius:.35rem}
table{width:100%;border-collapse:collapse}td,th{padding:.35rem .5rem .35rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
td:first-child{white-space:nowrap;padding-right:1rem}td:last-child{width:99%}
.bad{color:var(--bad)}summary{cursor:pointer;padding:.3rem 0}.skip{position:absolute;left:-99rem}.skip:focus{left:1rem}
@media(max-width:40rem){table,tbody,tr,td{display:block}td,td:last-child{width:auto}td:first-child{white-space:normal}td{border:0;padding:.1rem 0}tr{padding:.4rem 0;border-bottom:1px solid var(--line)}thead{display:none}}
";

/// The page.
pub(super) fn render(document: &Value) -> String {
    let mut out = String::new();
    let title = escaped(text(document, "/info/title"));
    let _ = write!(
        out,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>{title}: the API</title><style>{STYLE}</style>\
         <a class=skip href=#main>To the operations</a><header><h1>{title}</h1><p class=soft>Version {}. {} The same as <a href=/openapi.json>OpenAPI</a>.</p></header>",
        escaped(text(document, "/info/version")),
        escaped(text(document, "/info/description")),
    );
    let tags = document["tags"].as_array().map_or(&[][..], Vec::as_slice);
    out.push_str("<nav aria-label=Operations><ul>");
    for tag in tags {
        for (path, method, operation) in of_tag(document, text(tag, "/name")) {
            let (id, verb) = (text(operation, "/operationId"), method.to_uppercase());
            let _ = write!(out, "<li><a href=\"#{id}\"><span class=verb>{verb}</span> {}</a>", escaped(path));
        }
    }
    out.push_str("</ul></nav><main id=main>");
    for tag in tags {
        let _ = write!(
            out,
            "<h2>{}</h2><p class=soft>{}</p>",
            escaped(text(tag, "/name")),
            escaped(text(tag, "/description"))
        );
        for (path, method, operation) in of_tag(document, text(tag, "/name")) {
            article(&mut out, document, path, method, operation);
        }
    }
    out.push_str("<h2 id=problems>Problems</h2><p>An error is <code>application/problem+json</code> with one of these codes, and a hint.</p><table><thead><tr><th>Code<th>Status<th>Meaning</thead><tbody>");
    for (code, status, meaning) in problems::ALL {
        let _ = write!(out, "<tr><td><code>{code}</code><td>{status}<td>{}", marked(meaning));
    }
    out.push_str("</tbody></table></main></html>");
    out
}

fn of_tag<'a>(document: &'a Value, tag: &'a str) -> impl Iterator<Item = (&'a str, &'a str, &'a Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    });
    operations.filter(move |(.., operation)| operation["tags"][0] == tag)
}

fn article(out: &mut String, document: &Value, path: &str, method: &str, operation: &Value) {
    let id = text(operation, "/operationId");
    let _ = write!(
        out,
        "<article id=\"{id}\"><h3><span class=verb>{}</span> <code>{}</code></h3><p><strong>{}</strong></p><p>{}</p>",
        method.to_uppercase(),
        escaped(path),
        escaped(text(operation, "/summary")),
        marked(text(operation, "/description")),
    );
    let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
    if !parameters.is_empty() {
        out.push_str("<h4>Parameters</h4><table><tbody>");
        for parameter in parameters {
            let limits = limits(&parameter["schema"]);
            let _ = write!(
                out,
                "<tr><td><code>{}</code> <span class=soft>{}</span><td>{} {limits}",
                escaped(text(parameter, "/name")),
                text(parameter, "/in"),
                marked(text(parameter, "/description"))
            );
        }
        out.push_str("</tbody></table>");
    }
    if let Some(content) = operation.pointer("/requestBody/content/application~1json") {
        body(out, document, path, method, content);
    }
    out.push_str("<h4>Answers</h4><table><tbody>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let class = if status.starts_with('2') { "" } else { " class=bad" };
        let _ = write!(
            out,
            "<tr><td><strong{class}>{status}</strong><td>{}",
            marked(text(response, "/description"))
        );
    }
    out.push_str("</tbody></table></article>");
}

fn body(out: &mut String, document: &Value, path: &str, method: &str, content: &Value) {
    let examples = content["examples"].as_object().into_iter().flatten();
    out.push_str("<h4>Body</h4>");
    for (_, example) in examples {
        let json = serde_json::to_string(&example["value"]).unwrap_or_default();
        let short = path.replace("{id}", "$ID");
        let _ = write!(
            out,
            "<pre tabindex=0>curl -X {} \"$REINSTATE{}\" -H \"authorization: Bearer $TOKEN\" \\\n  -H \"content-type: application/json\" -d '{}'</pre>",
            method.to_uppercase(),
            escaped(&short),
            escaped(&json)
        );
    }
    let properties = resolved(document, &content["schema"])["properties"].as_object();
    let Some(properties) = properties else { return };
    let _ =
        write!(out, "<details><summary>{} fields and their limits</summary><table><tbody>", properties.len());
    for (name, schema) in properties {
        let about = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let _ = write!(out, "<tr><td><code>{}</code><td>{} {}", escaped(name), limits(schema), marked(about));
    }
    out.push_str("</tbody></table></details>");
}

/// The schema itself; of several, the first.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let first = schema["anyOf"].get(0).unwrap_or(schema);
    match first["$ref"].as_str() {
        Some(name) => document.pointer(name.trim_start_matches('#')).unwrap_or(first),
        None => first,
    }
}

/// Limits in words.
fn limits(schema: &Value) -> String {
    let mut words = Vec::new();
    let kind = &schema["type"];
    words.extend(kind.as_str().or_else(|| kind[0].as_str()).map(str::to_owned));
    for (name, word) in [
        ("maxLength", "at most {} characters"),
        ("maxItems", "at most {} items"),
        ("maximum", "at most {}"),
        ("default", "{} if not given"),
    ] {
        if !schema[name].is_null() {
            words.push(word.replace("{}", &schema[name].to_string()));
        }
    }
    let listed = schema["enum"].as_array().or_else(|| schema["anyOf"][0]["enum"].as_array());
    if let Some(listed) = listed {
        let listed: Vec<String> = listed
            .iter()
            .filter_map(Value::as_str)
            .map(|word| format!("<code>{}</code>", escaped(word)))
            .collect();
        words.push(format!("one of {}", listed.join(" ")));
    }
    format!("<span class=soft>{}</span>", words.join(", "))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Text with words in backticks as code.
fn marked(text: &str) -> String {
    let parts = escaped(text);
    parts
        .split('`')
        .enumerate()
        .map(|(place, part)| if place % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() })
        .collect()
}

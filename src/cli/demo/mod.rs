//! `reinstate demo`: a rejected customer comes back, and then another one although the service is killed half-way.
//!
//! Everything that runs is the real binary; only Nium is pretended. What the story claims is checked, and the exit code
//! says whether it ended well.

mod print;
mod sink;
mod world;

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args as ClapArgs;
use reqwest::Method;
use serde_json::{Value, json};

use self::print::{Printer, Voice};
use self::world::{PATIENCE, World, text};
use super::runtime;
use crate::lifecycle::stop_signal;

/// Watch a rejected customer come back.
///
/// Examples:
///   reinstate demo           tell the story, then keep running and say which addresses to look at
///   reinstate demo --once    tell the story and exit: 0 if it ended well
#[derive(ClapArgs, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Exit when the story has ended.
    #[arg(long)]
    once: bool,
}

/// The smallest PNG there is: one transparent point.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    runtime()?.block_on(tell(args))
}

async fn tell(args: &Args) -> anyhow::Result<u8> {
    let printer = Printer::new();
    printer.chapter("A rejected customer comes back");
    let mut world = World::start().await?;
    printer.say(Voice::Demo, &format!("the pretend Nium listens on {}", world.nium));
    printer.say(
        Voice::Demo,
        &format!("reinstate serves: callbacks on http://{}, API on http://{}", world.public, world.admin),
    );
    let told = story(&printer, &mut world).await;
    if let Err(error) = told {
        printer.failed(&format!("the story went wrong: {error:#}"));
        eprintln!("\nThe service's last lines:\n{}", world.log_tail());
        return Ok(1);
    }
    if args.once {
        printer.chapter("The story ended well.");
        return Ok(0);
    }
    printer.chapter("The story ended well. Everything keeps running until you press Ctrl-C:");
    println!("  the service      http://{}/readyz, http://{}/metrics", world.public, world.admin);
    println!(
        "  its API          curl -H 'Authorization: Bearer {}' http://{}/v1/customers",
        world.token, world.admin
    );
    println!("  the console      http://{}/ (With a token instead: {})", world.admin, world.token);
    println!("  the pretend Nium curl {}/__sim/", world.nium);
    println!("  the mailbox      {}/__sim/mail: open Cy's message, follow the link, and correct", world.nium);
    stop_signal().await;
    Ok(0)
}

async fn story(printer: &Printer, world: &mut World) -> anyhow::Result<()> {
    ana(printer, world).await?;
    printer.chapter("The service is killed half-way through another customer's reinstatement");
    bo(printer, world).await?;
    printer.chapter("The callback about a third customer is lost on its way");
    cy(printer, world).await
}

/// A customer is rejected, hears of it, corrects, and is reinstated.
async fn ana(printer: &Printer, world: &World) -> anyhow::Result<()> {
    let id = rejected(printer, world, "Ana", "ana@example.test").await?;
    let path = format!("/v1/customers/{id}/corrections");
    let correction = json!({
        "fields": { "firstName": "Ana Maria" },
        "documents": [{ "identificationType": "Passport", "identificationValue": "X0000002",
            "identificationDocExpiry": "2031-05-04",
            "identificationDocument": [{ "fileName": "passport-2.png", "fileType": "image/png", "document": PNG }] }],
    });
    let (status, preview) = world.api(Method::POST, &format!("{path}/preview"), Some(&correction)).await?;
    ensure!(status == 200, "the preview was refused: {status} {preview}");
    let difference = preview.pointer("/difference").and_then(Value::as_array);
    let fields: Vec<&str> = difference.into_iter().flatten().filter_map(|one| text(one, "/field")).collect();
    printer.say(Voice::Customer, &format!("corrects: {}", fields.join(", ")));
    correct(printer, world, &path, &correction).await?;
    world.state(&id, "reinstated").await?;
    finish(printer, world, &id).await
}

/// Onboards a customer, lets Nium reject them, and waits until the app backend was told.
async fn rejected(printer: &Printer, world: &World, name: &str, email: &str) -> anyhow::Result<String> {
    let id = world.onboard(&application(name, email)).await?;
    printer.say(Voice::Backend, &format!("onboards {name}: customerHashId {id}"));
    let remarks =
        json!({ "complianceStatus": "REJECT", "complianceRemarks": "POI does not match the declared name" });
    world.nium_decides(&id, &remarks).await?;
    printer
        .say(Voice::Nium, "rejects: complianceStatus REJECT, status Failed, and calls the callback URL once");
    // The onboarding made a callback too; the last one is the rejection's.
    world
        .sink
        .hear(&id, "customer.rejected", PATIENCE)
        .await
        .context("the backend was not told of the rejection")?;
    let is_callback = |entry: &Value| text(entry, "/kind") == Some("callback");
    let journal = world.journal(&id).await?;
    let callback = journal.iter().rev().find(|entry| is_callback(entry)).context("Nium sent no callback")?;
    let number = |pointer: &str| callback.pointer(pointer).and_then(Value::as_f64).unwrap_or_default();
    ensure!((number("/status") - 200.0).abs() < 0.5, "the callback was answered {}", number("/status"));
    let micros = number("/tookMicros");
    printer.say(
        Voice::Reinstate,
        &format!("answers 200 after {:.2} ms; the nudge is on disk", micros / 1_000.0),
    );
    printer.say(Voice::Reinstate, "asks Customer Details V2 what happened, and decides");
    let offer = world.sink.hear(&id, "customer.correction_requested", PATIENCE).await;
    let offer = offer.context("the backend was not told of the offer")?;
    ensure!(offer.genuine, "the webhook's signature is wrong");
    printer.say(
        Voice::Backend,
        "hears customer.rejected and customer.correction_requested; the signature is right:",
    );
    println!("{}", indented(&offer.body));
    printer.say(Voice::Backend, "tells the customer that KYC failed, and offers reinstatement");
    world.state(&id, "awaiting_correction").await?;
    Ok(id)
}

async fn correct(printer: &Printer, world: &World, path: &str, correction: &Value) -> anyhow::Result<String> {
    let (status, answer) = world.api(Method::POST, path, Some(correction)).await?;
    ensure!(status == 202, "the correction was refused: {status} {answer}");
    printer.say(Voice::Backend, "hands in the correction: 202; the submission is stored before it is sent");
    Ok(text(&answer, "/effectId").unwrap_or_default().to_owned())
}

/// What must be true once a customer is back.
async fn finish(printer: &Printer, world: &World, id: &str) -> anyhow::Result<()> {
    printer.say(
        Voice::Reinstate,
        "has submitted to Unified Add Customer with the existing customerHashId, and looked again",
    );
    world
        .sink
        .hear(id, "customer.reinstated", PATIENCE)
        .await
        .context("the backend was not told of the reinstatement")?;
    printer.say(Voice::Backend, "hears customer.reinstated: COMPLETED and Clear");
    let taken = world.journal(id).await?;
    let taken = taken.iter().filter(|entry| is_reinitiation(entry) && flag(entry, "/applied")).count();
    ensure!(taken == 1, "Nium took {taken} submissions instead of one");
    printer.checked("Nium took exactly one submission");
    let told = world.sink.all();
    let mut ids: Vec<&str> =
        told.iter().filter(|told| told.customer == id).map(|told| told.id.as_str()).collect();
    let messages = ids.len();
    ensure!(told.iter().all(|told| told.genuine), "a webhook's signature is wrong");
    ids.sort_unstable();
    ids.dedup();
    printer.checked(&format!(
        "the backend received {} events, each signed ({} deliveries)",
        ids.len(),
        messages
    ));
    let (_, timeline) = world.api(Method::GET, &format!("/v1/customers/{id}/timeline"), None).await?;
    println!("     its timeline:");
    for line in timeline.pointer("/items").and_then(Value::as_array).into_iter().flatten() {
        println!("       {}", timeline_line(line));
    }
    Ok(())
}

/// Another customer; the service dies after Nium has taken the submission and before anybody could hear of it.
async fn bo(printer: &Printer, world: &mut World) -> anyhow::Result<()> {
    let id = rejected(printer, world, "Bo", "bo@example.test").await?;
    let fault = json!({ "endpoint": "add_customer", "customerHashId": id, "kind": "wait", "name": "bo" });
    let (status, answer) = world.nium(Method::POST, "/__sim/faults", Some(&fault)).await?;
    ensure!(status < 300, "the pretend Nium refused the fault: {status} {answer}");
    let correction = json!({ "fields": { "firstName": "Bo Erik" } });
    correct(printer, world, &format!("/v1/customers/{id}/corrections"), &correction).await?;
    world.journal_shows(&id, is_reinitiation).await?;
    printer.say(Voice::Nium, "has taken the submission, and its answer is still on the way …");
    let process = world.kill_service().await?;
    printer.say(Voice::Demo, &format!("kill -9 {process}"));
    world.nium(Method::POST, "/__sim/release/bo", None).await?;
    let took = world.start_service().await?;
    printer
        .say(Voice::Demo, &format!("the service is started again, and ready after {} ms", took.as_millis()));
    printer.say(
        Voice::Reinstate,
        "finds a submission that was being sent: it does not send again, it looks first",
    );
    world.state(&id, "reinstated").await?;
    finish(printer, world, &id).await?;
    printer.checked("nothing was lost, nothing was done twice");
    Ok(())
}

/// A third customer, whose callback never comes: the service finds out by asking.
async fn cy(printer: &Printer, world: &World) -> anyhow::Result<()> {
    let id = world.onboard(&application("Cy", "cy@example.test")).await?;
    printer.say(Voice::Backend, &format!("onboards Cy: customerHashId {id}"));
    world.state(&id, "watching").await?;
    // Nium's times have whole seconds; a change within the same one would not look newer.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let silently =
        json!({ "complianceStatus": "REJECT", "complianceRemarks": "DOB mismatch", "silent": true });
    world.nium_decides(&id, &silently).await?;
    printer.say(Voice::Nium, "rejects; its only callback is lost, and nothing arrives");
    let (status, sweep) = world.api(Method::POST, "/v1/sweeps", Some(&json!({}))).await?;
    ensure!(status == 202, "the sweep was refused: {status} {sweep}");
    printer.say(Voice::Demo, "does not wait for the daily sweep: reinstate sweep run");
    world.state(&id, "awaiting_correction").await?;
    printer.say(Voice::Reinstate, "pages Nium's customer list, finds the difference, looks, and decides");
    let heard = world.sink.hear(&id, "customer.rejected", PATIENCE).await;
    heard.context("the backend was not told of the rejection")?;
    printer.say(Voice::Backend, "hears customer.rejected, as if the callback had come");
    let (_, timeline) = world.api(Method::GET, &format!("/v1/customers/{id}/timeline"), None).await?;
    let lines = timeline.pointer("/items").and_then(Value::as_array);
    ensure!(
        lines.into_iter().flatten().any(|line| text(line, "/what") == Some("found_by_sweep")),
        "the timeline does not say that the sweep found it"
    );
    printer.checked("a callback that never came was noticed all the same");
    let mail = world.mailed("cy@example.test").await?;
    let subject = text(&mail, "/subject").unwrap_or_default().to_owned();
    printer.say(Voice::Customer, &format!("gets an e-mail, “{subject}”, with a link to the hosted page"));
    Ok(())
}

fn application(name: &str, email: &str) -> Value {
    json!({
        "email": email, "mobile": "80000000", "countryCode": "SG", "firstName": name, "lastName": "Sample",
        "dateOfBirth": "1990-02-03", "nationality": "SG", "kycMode": "MANUAL_KYC", "complianceLevel": "SCREENING_KYC",
        "billingAddress1": "1 Example Street", "billingCity": "Singapore", "billingState": "Singapore",
        "billingZipCode": "018900", "billingCountry": "SG", "isTncAccepted": true, "verificationConsent": true,
        "intendedUseOfAccount": "IU100", "deliveryAddress1": "1 Example Street", "deliveryCity": "Singapore",
        "deliveryCountry": "SG",
        "identificationDoc": [{ "identificationType": "Passport", "identificationValue": "X0000001",
            "identificationDocExpiry": "2031-05-04",
            "identificationDocument": [{ "fileName": "passport.png", "fileType": "image/png", "document": PNG }] }],
    })
}

fn indented(body: &Value) -> String {
    let text = serde_json::to_string_pretty(body).unwrap_or_default();
    text.lines().map(|line| format!("                            {line}")).collect::<Vec<_>>().join("\n")
}

fn is_reinitiation(entry: &Value) -> bool {
    text(entry, "/endpoint") == Some("add_customer") && flag(entry, "/reinitiation")
}

fn flag(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

fn timeline_line(line: &Value) -> String {
    let word = |pointer: &str| text(line, pointer).unwrap_or_default();
    let at = word("/at").parse::<jiff::Timestamp>().map(|at| at.strftime("%H:%M:%S%.3f").to_string());
    let (at, what) = (at.unwrap_or_default(), word("/what"));
    let part = |pointer: &str| line.pointer(pointer).map(ToString::to_string).unwrap_or_default();
    let rest = match what {
        "nudged" => format!("by {} ({} deliveries)", word("/detail/source"), part("/detail/deliveries")),
        "decided" => format!("{}: {}", word("/detail/to"), word("/detail/because")),
        "told" => word("/detail/event").to_owned(),
        "correction_handed_in" => part("/detail/fields"),
        _ => String::new(),
    };
    format!("{at}  {what:<20}  {rest}")
}

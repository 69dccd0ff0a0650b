//! The pages in a real Chromium: the whole story of a customer, with and without a script, at phone width, by the keyboard
//! alone, and without anything that keeps somebody out.

use std::net::TcpListener;
use std::path::PathBuf;

use serde_json::json;

use crate::chromium::{Chromium, DESKTOP, ENTER, PHONE, View};
use crate::house::{House, Plan, lasting_address};

const REMARK: &str = "declared name differs from the expired document";

pub async fn house() -> House {
    let mail = lasting_address();
    let env = vec![
        ("NOTIFY__EMAIL__SMTP_URL", format!("smtp://{mail}?tls=none")),
        ("NOTIFY__EMAIL__FROM", "Example Pay <kyc@example.test>".to_owned()),
        ("PAGE__NAME", "Example Pay".to_owned()),
        ("PAGE__CONTACT", "help@example.test".to_owned()),
    ];
    let house = House::build(Plan { env, ..Plan::default() }).await;
    house.sim.take_mail(TcpListener::bind(mail).unwrap()).unwrap();
    house
}

/// A customer who was rejected, and has a message about it.
pub async fn rejected(house: &House, name: &str) -> String {
    let id = house.onboard(name).await;
    house.nium_says(&id, json!({ "complianceStatus": "REJECT", "complianceRemarks": REMARK })).await;
    house.until(&id, "awaiting_correction").await;
    house
        .eventually("there is a message", async || {
            let all = house.nium(reqwest::Method::GET, "/__sim/mail.json", json!(null)).await;
            all["items"]
                .as_array()
                .unwrap()
                .iter()
                .any(|mail| mail["to"] == format!("{}@example.test", name.to_lowercase()))
        })
        .await;
    id
}

/// A photo as phones take them: more bytes than Nium takes. PNG, rows of noise that are not packed.
pub fn photo(folder: &tempfile::TempDir) -> PathBuf {
    let (width, height) = (1100_u32, 800_u32);
    let mut noise = 7_u32;
    let mut rows = Vec::new();
    for place in 0..height * (width * 3 + 1) {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Each row begins with the word for "not filtered".
        let is_word = place % (width * 3 + 1) == 0;
        rows.push(if is_word { 0 } else { u8::try_from(noise >> 24).unwrap() });
    }
    let mut packed = vec![0x78, 0x01];
    let blocks: Vec<&[u8]> = rows.chunks(65_535).collect();
    for (place, block) in blocks.iter().enumerate() {
        let length = u16::try_from(block.len()).unwrap();
        packed.push(u8::from(place + 1 == blocks.len()));
        packed.extend(length.to_le_bytes());
        packed.extend((!length).to_le_bytes());
        packed.extend(*block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in &rows {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    packed.extend(((b << 16) | a).to_be_bytes());
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        png.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        let whole = [kind.as_slice(), data].concat();
        png.extend(&whole);
        png.extend(crc32fast::hash(&whole).to_be_bytes());
    };
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes()[..], &[8, 2, 0, 0, 0]].concat();
    chunk(b"IHDR", &head);
    chunk(b"IDAT", &packed);
    chunk(b"IEND", &[]);
    let file = folder.path().join("photo of my passport.png");
    std::fs::write(&file, png).unwrap();
    file
}

fn small_photo(folder: &tempfile::TempDir) -> PathBuf {
    let file = folder.path().join("passport.png");
    let bytes =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, crate::house::PNG).unwrap();
    std::fs::write(&file, bytes).unwrap();
    file
}

/// From the mailbox to the form.
pub async fn open(house: &House, chromium: &Chromium, look: bool) {
    chromium.go(&format!("{}/__sim/mail", house.sim.base_url())).await;
    if look {
        chromium.is_accessible("mailbox").await;
        chromium.picture("mailbox").await;
    }
    chromium.click("tbody tr:first-child a").await;
    if look {
        chromium.is_accessible("mail").await;
        chromium.picture("mail").await;
    }
    chromium.click("a[href*='/correct/']").await;
    chromium.reads("Please check your details").await;
    if look {
        chromium.is_accessible("landing").await;
        chromium.picture("landing").await;
    }
    chromium.click("button.main").await;
    chromium.reads("Correct your details").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_follows_the_mail_and_comes_back_with_a_photo() {
    let house = house().await;
    let id = rejected(&house, "Ana").await;
    let folder = tempfile::tempdir().unwrap();
    let chromium = Chromium::start(DESKTOP).await;
    open(&house, &chromium, true).await;
    chromium.is_accessible("form").await;
    chromium.picture("form").await;
    chromium.click("button[value=check]").await;
    chromium.reads("Nothing has been changed yet").await;
    chromium.is_accessible("form with problems").await;
    chromium.picture("form-problems").await;
    chromium.fill("#f-firstName", "Ana Maria").await;
    chromium.click("summary").await;
    chromium.attach("#doc-photo", &photo(&folder)).await;
    // The script makes the photo smaller before it is sent.
    let kind = "return document.getElementById('doc-photo').files[0].type";
    house.eventually("it is smaller", async || chromium.script(kind, &[]).await == "image/jpeg").await;
    chromium.click("button[value=check]").await;
    let review = chromium.reads("Is this right?").await;
    assert!(review.contains("Ana Maria") && review.contains("photo of my passport.jpg"), "{review}");
    chromium.is_accessible("review").await;
    chromium.picture("review").await;
    chromium.click("button.main").await;
    house.eventually("the page is there", async || chromium.url().await.ends_with("/correct")).await;
    chromium.is_accessible("standing").await;
    house.until(&id, "reinstated").await;
    chromium.go(&chromium.url().await).await;
    chromium.reads("You are verified").await;
    chromium.picture("verified").await;
    let url = chromium.url().await;
    assert!(url.ends_with("/correct"), "nothing secret stands in {url}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_script_and_on_a_phone_it_works_all_the_same() {
    let house = house().await;
    let folder = tempfile::tempdir().unwrap();
    for (name, view) in [("Bo", View { script: false, ..DESKTOP }), ("Cy", PHONE)] {
        let id = rejected(&house, name).await;
        let chromium = Chromium::start(view).await;
        open(&house, &chromium, view.script).await;
        if view.script {
            chromium.is_accessible("form on a phone").await;
            chromium.picture("form-phone").await;
        }
        chromium.fill("#f-firstName", &format!("{name} Erik")).await;
        chromium.click("summary").await;
        chromium.attach("#doc-file", &small_photo(&folder)).await;
        chromium.click("button[value=more]").await;
        chromium.reads("passport.png").await;
        chromium.click("button[value=check]").await;
        chromium.reads("Is this right?").await;
        if view.script {
            chromium.is_accessible("review on a phone").await;
            chromium.picture("review-phone").await;
        }
        chromium.click("button.main").await;
        house.until(&id, "reinstated").await;
        chromium.go(&chromium.url().await).await;
        chromium.reads("You are verified").await;
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_alone_suffices() {
    let house = house().await;
    let id = rejected(&house, "Ana").await;
    let chromium = Chromium::start(DESKTOP).await;
    chromium.go(&format!("{}/__sim/mail", house.sim.base_url())).await;
    chromium.tab_to("Please check your details").await;
    chromium.press(ENTER).await;
    chromium.tab_to("Open the page").await;
    chromium.press(ENTER).await;
    chromium.reads("Please check your details").await;
    chromium.tab_to("Continue").await;
    chromium.press(ENTER).await;
    chromium.reads("Correct your details").await;
    chromium.tab_to("f-firstName").await;
    chromium.press(" Maria").await;
    chromium.tab_to("Check and continue").await;
    chromium.press(ENTER).await;
    chromium.reads("Is this right?").await;
    chromium.tab_to("Send").await;
    chromium.press(ENTER).await;
    house.until(&id, "reinstated").await;
    house.close().await;
}

/// A link to the page, as a backend asks for it.
async fn link(house: &House, id: &str) -> String {
    let path = format!("/v1/customers/{id}/correction-link");
    let (_, made) = house.ask(reqwest::Method::POST, &path, None).await;
    made["url"].as_str().unwrap().to_owned()
}

/// Nium asks a customer for something.
async fn asked(house: &House, id: &str, what: serde_json::Value) {
    house.until(id, "watching").await;
    house.nium(reqwest::Method::POST, &format!("/__sim/customers/{id}/rfi"), json!({ "ask": what })).await;
    let rfi = format!("/v1/customers/{id}/rfi");
    house.eventually("it is asked", async || house.get(&rfi).await.1["open"] == true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seldom_pages_keep_nobody_out_either() {
    let house = house().await;
    let chromium = Chromium::start(PHONE).await;
    let base = format!("http://{}", house.public);
    chromium.go(&format!("{base}/correct")).await;
    chromium.reads("There is nothing here").await;
    chromium.is_accessible("nothing").await;
    chromium.go(&format!("{base}/correct/{}", "A".repeat(43))).await;
    chromium.is_accessible("ended").await;
    // A request for information, half answered; and one of a company.
    let ana = house.onboard("Ana").await;
    asked(&house, &ana, json!(["firstName", "passport", "isPep"])).await;
    chromium.go(&link(&house, &ana).await).await;
    chromium.click("button.main").await;
    chromium.reads("We need some more information").await;
    chromium.is_accessible("asked").await;
    chromium.click("button.main").await;
    chromium.reads("Please look at these entries again").await;
    chromium.is_accessible("asked with problems").await;
    let company = json!({ "customerType": "CORPORATE" });
    let company = house.nium(reqwest::Method::POST, "/__sim/customers", company).await;
    let company = company["customerHashId"].as_str().unwrap().to_owned();
    asked(&house, &company, json!(["tradeName"])).await;
    chromium.go(&link(&house, &company).await).await;
    chromium.click("button.main").await;
    chromium.reads("about your company").await;
    chromium.is_accessible("asked of a company").await;
    // The end of reminders, and a form in another script; then the offer is over.
    let bo = rejected(&house, "Bo").await;
    let url = link(&house, &bo).await;
    chromium.go(&url.replace("/correct/", "/correct/stop/")).await;
    chromium.is_accessible("stop").await;
    chromium.click("button.main").await;
    chromium.reads("You get no more reminders").await;
    chromium.is_accessible("stopped").await;
    chromium.go(&url).await;
    chromium.click("button.main").await;
    chromium.reads("Correct your details").await;
    for language in ["ja", "zh", "de"] {
        chromium.go(&format!("{base}/correct?lang={language}")).await;
        chromium.is_accessible(&format!("form in {language}")).await;
    }
    let word = json!({ "decision": "final" });
    let path = format!("/v1/customers/{bo}/decision");
    house.ask(reqwest::Method::POST, &path, Some(word)).await;
    house.until(&bo, "finally_rejected").await;
    chromium.go(&format!("{base}/correct?lang=en")).await;
    chromium.reads("We could not verify you").await;
    chromium.is_accessible("closed").await;
    house.close().await;
}

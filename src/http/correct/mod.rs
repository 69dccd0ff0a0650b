//! The hosted page, on the public listener: where a rejected customer sees what went wrong, corrects it, and sees where things
//! stand. Works without a script; forms go by POST and redirect, so that going back and reloading do no harm.
//!
//! - `/correct/{token}`: what a link opens. Reading it changes nothing (mail scanners read links); the button's POST exchanges
//!   the token for a visit's cookie, and from then on no secret stands in an address.
//! - `/correct`: the visit: the form, the difference, where things stand
//! - `door`: links, and the visits that they begin; `shell`: what is around every page; `fields`, `view`, `problems`: what is asked and how; `form`, `draft`: what was written

mod door;
mod draft;
mod fields;
mod form;
mod problems;
mod shell;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Multipart, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

use self::draft::Draft;
use self::form::{Form, FormFault};
use self::problems::{Problems, told};
use self::shell::{Cookies, Shell, asked_language, language};
use self::view::{Asked, Correct, Notice, Review, Sheet};
use crate::domain::correction::FieldProblem;
use crate::domain::texts::{Language, Texts};
use crate::http::web::{self, form_token, is_our_form, page};
use crate::ops::page::{PageView, Standing};
use crate::ops::{Ops, OpsError};
use crate::store::rows::links::VisitRow;

pub use self::shell::Brand;

/// Largest form, in bytes: 10 MiB of files, which Nium takes, and room for more that is refused in plain words.
const FORM_BYTES_MAX: usize = 24 * 1024 * 1024;
/// How much of a larger form is read and thrown away, in bytes: a browser that still sends reads no answer.
const SWALLOWED_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Largest form without files, in bytes.
const PLAIN_BYTES_MAX: usize = 64 * 1024;
/// How long a form may take: photos over a slow line.
const FORM_WAIT: Duration = Duration::from_mins(3);
/// Forms that are read at once, so that their bytes stay within 200 MiB.
const FORMS_AT_ONCE: usize = 8;
/// How long a form waits for its turn.
const TURN_WAIT: Duration = Duration::from_secs(20);

/// What the page's handlers need.
pub struct CorrectState {
    ops: Arc<Ops>,
    brand: Brand,
    cookies: Cookies,
    base: String,
    turns: Semaphore,
}

impl CorrectState {
    /// The page of this client; `url` is where the world reaches the public listener.
    #[must_use]
    pub fn new(ops: Arc<Ops>, brand: Brand, url: &str) -> Self {
        let cookies = Cookies { secure: url.starts_with("https://") };
        let path = url.parse().map(|url: Uri| url.path().trim_end_matches('/').to_owned());
        let turns = Semaphore::new(FORMS_AT_ONCE);
        Self { ops, brand, cookies, base: path.unwrap_or_default(), turns }
    }

    /// Sends a browser on.
    fn see(&self, path: &str) -> Response {
        let place = HeaderValue::from_str(&format!("{}{path}", self.base));
        let place = place.unwrap_or_else(|_| HeaderValue::from_static("/correct"));
        (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
    }

    fn shell(&self, language: Language, languages: bool) -> Shell<'_> {
        let languages: &[Language] = if languages { &Language::ALL } else { &[] };
        Shell { texts: language.texts(), brand: &self.brand, base: &self.base, languages }
    }

    fn notice(&self, status: StatusCode, language: Language, title: &str, text: &str) -> Response {
        page(status, &Notice { shell: self.shell(language, false), title, text })
    }
}

type Page = State<Arc<CorrectState>>;

/// The page's routes.
pub fn router(state: Arc<CorrectState>) -> Router {
    let forms = Router::new()
        .route("/correct", get(show).post(write))
        .route("/correct/answers", post(answer))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(&state), swallow));
    let plain = Router::new()
        .route("/correct/page.css", get(style))
        .route("/correct/page.js", get(script))
        .route("/correct/logo", get(logo))
        .route("/correct/review", get(review))
        .route("/correct/send", post(send))
        .route("/correct/stop/{token}", get(door::ask_stop).post(door::stop))
        .route("/correct/{token}", get(door::land).post(door::enter))
        .layer(DefaultBodyLimit::max(PLAIN_BYTES_MAX));
    forms.merge(plain).layer(from_fn_with_state(Arc::clone(&state), guard)).with_state(state)
}

/// The headers of every answer, and the time that a request may take.
async fn guard(State(state): Page, request: Request, next: Next) -> Response {
    let chosen = language(request.uri(), request.headers(), &state.brand);
    let response = tokio::time::timeout(FORM_WAIT, next.run(request)).await;
    let mut response = response.unwrap_or_else(|_| {
        let texts = chosen.texts();
        state.notice(StatusCode::REQUEST_TIMEOUT, chosen, texts.page.trouble_title, texts.page.trouble_text)
    });
    let headers = response.headers_mut();
    for (name, value) in web::headers(state.cookies.secure, web::POLICY) {
        headers.insert(name, value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A form that says it is too large is told so in words, once it has been sent.
async fn swallow(State(state): Page, request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse().ok()).is_none_or(|length: usize| length <= FORM_BYTES_MAX) {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let visitor = match visitor(&state, &head.uri, &head.headers).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    let (mut body, mut read) = (body.into_data_stream(), 0_usize);
    while read < SWALLOWED_BYTES_MAX
        && let Some(Ok(chunk)) = body.next().await
    {
        read = read.saturating_add(chunk.len());
    }
    too_large(&state, visitor.language)
}

fn too_large(state: &CorrectState, chosen: Language) -> Response {
    let texts = &chosen.texts().page;
    state.notice(StatusCode::PAYLOAD_TOO_LARGE, chosen, texts.too_large_title, texts.too_large_text)
}

async fn style(State(state): Page) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    ([kind, cached()], state.brand.style()).into_response()
}

async fn script() -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    ([kind, cached()], include_str!("page.js")).into_response()
}

async fn logo(State(state): Page) -> Response {
    match &state.brand.logo {
        Some((kind, bytes)) => {
            let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
            ([kind, cached()], bytes.clone()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn cached() -> (header::HeaderName, HeaderValue) {
    (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"))
}

/// Who comes with a request: their visit, its cookie, and their language.
struct Visitor {
    row: VisitRow,
    cookie: String,
    language: Language,
}

impl Visitor {
    fn texts(&self) -> &'static Texts {
        self.language.texts()
    }
}

/// The visit of a request, or the page that says that there is none.
async fn visitor(state: &CorrectState, uri: &Uri, headers: &HeaderMap) -> Result<Visitor, Response> {
    let chosen = language(uri, headers, &state.brand);
    let Some(cookie) = state.cookies.visit(headers) else { return Err(missing(state, chosen)) };
    match state.ops.visit(cookie).await {
        Ok(Some(row)) => Ok(Visitor { row, cookie: cookie.to_owned(), language: chosen }),
        Ok(None) => {
            let texts = &chosen.texts().page;
            Err(state.notice(StatusCode::FORBIDDEN, chosen, texts.over_title, texts.over_text))
        }
        Err(error) => Err(trouble(state, chosen, &error)),
    }
}

fn missing(state: &CorrectState, chosen: Language) -> Response {
    let texts = &chosen.texts().page;
    state.notice(StatusCode::FORBIDDEN, chosen, texts.missing_title, texts.missing_text)
}

/// Ours to mend: the log has the cause, the visitor an apology.
fn trouble(state: &CorrectState, chosen: Language, error: &OpsError) -> Response {
    tracing::error!(%error, "the hosted page could not be shown");
    let texts = &chosen.texts().page;
    state.notice(StatusCode::SERVICE_UNAVAILABLE, chosen, texts.trouble_title, texts.trouble_text)
}

/// `GET /correct`: the form, or where things stand.
async fn show(State(state): Page, uri: Uri, headers: HeaderMap) -> Response {
    let visitor = match visitor(&state, &uri, &headers).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    let mut response = match standing(&state, &visitor).await {
        Ok(response) => response,
        Err(error) => trouble(&state, visitor.language, &error),
    };
    if let Some(cookie) = asked_language(&uri).and_then(|asked| state.cookies.set_language(asked)) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

async fn standing(state: &CorrectState, visitor: &Visitor) -> Result<Response, OpsError> {
    let view = state.ops.page(&visitor.row).await?;
    let texts = &visitor.texts().stages;
    let said = match &view.standing {
        Standing::Correct { .. } => return correct(state, visitor, view).await,
        Standing::Asked { .. } => return Ok(asked(state, visitor, view)),
        Standing::Sending => &texts.sending,
        Standing::UnderReview => &texts.review,
        Standing::Waiting => &texts.waiting,
        Standing::Done => &texts.done,
        Standing::Closed => &texts.closed,
        Standing::WithOfficer => &texts.officer,
        Standing::AskedOfCompany => &texts.company,
    };
    let shell = state.shell(visitor.language, true);
    Ok(page(StatusCode::OK, &Notice { shell, title: said.title, text: said.text }))
}

/// What the checks say about a draft: problems by entry, whether nothing is changed, and the difference.
struct Checked {
    problems: Problems,
    nothing_changed: bool,
    difference: Value,
}

async fn check(
    state: &CorrectState,
    visitor: &Visitor,
    draft: &Draft,
    view: &PageView,
) -> Result<Checked, OpsError> {
    let texts = visitor.texts();
    let correction = draft.correction(&view.on_file);
    let mut checked = Checked { problems: Problems::new(), nothing_changed: false, difference: Value::Null };
    let is_lapsed = matches!(&view.standing, Standing::Correct { grounds, .. }
        if grounds.class == crate::domain::remark::RemarkClass::Lapsed);
    let correction = if is_lapsed && correction == Value::Object(serde_json::Map::new()) {
        again(&view.on_file)
    } else {
        correction
    };
    match state.ops.preview(visitor.row.customer, &correction).await {
        Ok(preview) => {
            let gaps: Vec<FieldProblem> = problems_of(&preview);
            checked.problems = told(&gaps, &draft.fields, texts);
            checked.difference = preview.get("difference").cloned().unwrap_or_default();
            let none = checked.difference.as_array().is_none_or(Vec::is_empty);
            checked.nothing_changed = none && !is_lapsed;
        }
        Err(OpsError::Invalid(_)) if correction == Value::Object(serde_json::Map::new()) => {
            checked.nothing_changed = true;
        }
        Err(OpsError::Invalid(found) | OpsError::UnknownKeys(found)) => {
            checked.problems = told(&found, &draft.fields, texts);
        }
        Err(error) => return Err(error),
    }
    if draft.bad_file {
        checked.problems.insert("documents".to_owned(), texts.problems.file.to_owned());
    }
    Ok(checked)
}

/// A correction that repeats what is on file: sending again is what cures a check that lapsed.
fn again(on_file: &serde_json::Map<String, Value>) -> Value {
    let name = on_file.get("firstName").cloned().unwrap_or_default();
    serde_json::json!({ "fields": { "firstName": name } })
}

fn problems_of(preview: &Value) -> Vec<FieldProblem> {
    let list = preview.get("problems").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|problem| {
        let text = |name: &str| problem.get(name)?.as_str();
        Some(FieldProblem::new(text("field")?, text("message")?))
    })
    .collect()
}

async fn correct(state: &CorrectState, visitor: &Visitor, view: PageView) -> Result<Response, OpsError> {
    let draft = Draft::of(view.draft.clone());
    let checked =
        if draft.tried || draft.bad_file { Some(check(state, visitor, &draft, &view).await?) } else { None };
    let Standing::Correct { grounds, deadline } = &view.standing else { return Ok(state.see("/correct")) };
    let texts = visitor.texts();
    let (problems, nothing_changed) =
        checked.map_or_else(Default::default, |checked| (checked.problems, checked.nothing_changed));
    let sheet = Sheet { texts, on_file: &view.on_file, draft: &draft, problems: &problems };
    let documents_first = grounds.fields.iter().any(|name| name == "identificationDoc");
    let first = sheet.first(&grounds.fields);
    let cannot_ask = first.len() + usize::from(documents_first) < grounds.fields.len();
    let template = Correct {
        shell: state.shell(visitor.language, true),
        form: form_token(&visitor.cookie),
        why: view::why(grounds, texts),
        deadline: day(*deadline),
        problems: sheet.told(nothing_changed),
        cannot_ask,
        others_open: first.is_empty() && !documents_first || !problems.is_empty() || !draft.fields.is_empty(),
        others: sheet.others(&grounds.fields),
        first,
        documents: sheet.papers(documents_first, &state.brand.documents),
    };
    Ok(page(StatusCode::OK, &template))
}

/// A day, for a reader without a script; the script says it in the visitor's language.
fn day(at: jiff::Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

/// The form of a request, if it is one of ours; else the page that says why not.
async fn read_form(
    state: &CorrectState,
    visitor: &Visitor,
    headers: &HeaderMap,
    parts: Multipart,
) -> Result<Form, Response> {
    let _turn = turn(state, visitor).await?;
    let form = Form::read(parts).await.map_err(|fault| match fault {
        FormFault::TooLarge => too_large(state, visitor.language),
        FormFault::Broken => missing(state, visitor.language),
    })?;
    if is_our_form(headers, &visitor.cookie, form.text("form")) {
        Ok(form)
    } else {
        Err(missing(state, visitor.language))
    }
}

async fn turn<'a>(state: &'a CorrectState, visitor: &Visitor) -> Result<SemaphorePermit<'a>, Response> {
    let texts = &visitor.texts().page;
    match tokio::time::timeout(TURN_WAIT, state.turns.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_)) | Err(_) => Err(state.notice(
            StatusCode::SERVICE_UNAVAILABLE,
            visitor.language,
            texts.trouble_title,
            texts.trouble_text,
        )),
    }
}

/// `POST /correct`: keeps what was written, and goes on to the difference if nothing is wrong with it.
async fn write(State(state): Page, uri: Uri, headers: HeaderMap, parts: Multipart) -> Response {
    let visitor = match visitor(&state, &uri, &headers).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    let mut form = match read_form(&state, &visitor, &headers, parts).await {
        Ok(form) => form,
        Err(response) => return response,
    };
    match keep(&state, &visitor, &mut form).await {
        Ok(response) => response,
        Err(error) => moved_or_trouble(&state, &visitor, &error),
    }
}

async fn keep(state: &CorrectState, visitor: &Visitor, form: &mut Form) -> Result<Response, OpsError> {
    let view = state.ops.page(&visitor.row).await?;
    if !matches!(view.standing, Standing::Correct { .. }) {
        return Ok(state.see("/correct"));
    }
    let mut draft = Draft::of(view.draft.clone());
    draft.take(form);
    draft.tried = form.text("go") != Some("more");
    let checked = check(state, visitor, &draft, &view).await?;
    let kept = serde_json::to_value(&draft)?;
    state.ops.keep_draft(&visitor.row, &kept).await?;
    let goes_on = draft.tried && checked.problems.is_empty() && !checked.nothing_changed;
    Ok(state.see(if goes_on { "/correct/review" } else { "/correct" }))
}

/// `GET /correct/review`: the difference.
async fn review(State(state): Page, uri: Uri, headers: HeaderMap) -> Response {
    let visitor = match visitor(&state, &uri, &headers).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    match look_over(&state, &visitor).await {
        Ok(response) => response,
        Err(error) => moved_or_trouble(&state, &visitor, &error),
    }
}

async fn look_over(state: &CorrectState, visitor: &Visitor) -> Result<Response, OpsError> {
    let view = state.ops.page(&visitor.row).await?;
    if !matches!(view.standing, Standing::Correct { .. }) {
        return Ok(state.see("/correct"));
    }
    let draft = Draft::of(view.draft.clone());
    let checked = check(state, visitor, &draft, &view).await?;
    if !checked.problems.is_empty() || checked.nothing_changed {
        return Ok(state.see("/correct"));
    }
    let template = Review {
        shell: state.shell(visitor.language, true),
        form: form_token(&visitor.cookie),
        changes: view::changes(&checked.difference, visitor.texts()),
    };
    Ok(page(StatusCode::OK, &template))
}

/// `POST /correct/send`: hands the correction in.
async fn send(State(state): Page, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let visitor = match visitor(&state, &uri, &headers).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    let given = body.split('&').find_map(|pair| pair.strip_prefix("form="));
    if !is_our_form(&headers, &visitor.cookie, given) {
        return missing(&state, visitor.language);
    }
    match hand_in(&state, &visitor).await {
        Ok(()) => state.see("/correct"),
        Err(error) => moved_or_trouble(&state, &visitor, &error),
    }
}

async fn hand_in(state: &CorrectState, visitor: &Visitor) -> Result<(), OpsError> {
    let view = state.ops.page(&visitor.row).await?;
    let Standing::Correct { grounds, .. } = &view.standing else { return Ok(()) };
    let draft = Draft::of(view.draft);
    if !draft.tried {
        return Ok(());
    }
    let mut correction = draft.correction(&view.on_file);
    if correction == Value::Object(serde_json::Map::new())
        && grounds.class == crate::domain::remark::RemarkClass::Lapsed
    {
        correction = again(&view.on_file);
    }
    state.ops.hand_in(&visitor.row, &correction).await
}

/// What else happened meanwhile is no error of the visitor's: the page shows how it stands.
fn moved_or_trouble(state: &CorrectState, visitor: &Visitor, error: &OpsError) -> Response {
    match error {
        OpsError::WrongState(_)
        | OpsError::UnderWay
        | OpsError::Moved
        | OpsError::NoRfi
        | OpsError::KeyReused
        | OpsError::NothingChanged
        | OpsError::Invalid(_)
        | OpsError::UnknownKeys(_) => state.see("/correct"),
        // A rule forbids it by now: somebody else was quicker.
        OpsError::ActRefused(effect) if effect.pointer("/said/rule").is_some() => state.see("/correct"),
        other => trouble(state, visitor.language, other),
    }
}

fn asked(state: &CorrectState, visitor: &Visitor, view: PageView) -> Response {
    let Standing::Asked { items, deadline } = &view.standing else { return state.see("/correct") };
    let texts = visitor.texts();
    let draft = Draft::of(view.draft);
    let found = if draft.tried { wrong_answers(items, &draft) } else { BTreeMap::new() };
    let template = Asked {
        shell: state.shell(visitor.language, true),
        form: form_token(&visitor.cookie),
        deadline: day(*deadline),
        problem: draft.refused || !found.is_empty(),
        items: view::items(items, &draft, &found, &state.brand.documents, texts),
        countries: view::countries(""),
    };
    page(StatusCode::OK, &template)
}

/// What is wrong with answers: names of fields by the id of their item.
fn wrong_answers(items: &[crate::domain::rfi::RfiItem], draft: &Draft) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let problems = crate::domain::rfi::Answers::parse(&draft.answers(items), items, false).err();
    for problem in problems.into_iter().flatten() {
        let item = items.iter().find_map(|item| {
            let rest = problem.field.strip_prefix("answers.")?.strip_prefix(item.id.as_str())?;
            Some((item.id.clone(), rest.trim_start_matches('.').to_owned()))
        });
        if let Some((id, rest)) = item {
            let name = rest.split(['.', '[']).next().unwrap_or_default().to_owned();
            found.entry(id).or_default().push(name);
        }
    }
    for item in items.iter().filter(|item| draft.answers.get(&item.id).is_some_and(|answer| answer.bad_file))
    {
        found.entry(item.id.clone()).or_default().push("document".to_owned());
    }
    found
}

/// `POST /correct/answers`: answers what Nium asks, all of it at once.
async fn answer(State(state): Page, uri: Uri, headers: HeaderMap, parts: Multipart) -> Response {
    let visitor = match visitor(&state, &uri, &headers).await {
        Ok(visitor) => visitor,
        Err(response) => return response,
    };
    let mut form = match read_form(&state, &visitor, &headers, parts).await {
        Ok(form) => form,
        Err(response) => return response,
    };
    match take_answers(&state, &visitor, &mut form).await {
        Ok(()) => state.see("/correct"),
        Err(error) => moved_or_trouble(&state, &visitor, &error),
    }
}

async fn take_answers(state: &CorrectState, visitor: &Visitor, form: &mut Form) -> Result<(), OpsError> {
    let view = state.ops.page(&visitor.row).await?;
    let Standing::Asked { items, .. } = &view.standing else { return Ok(()) };
    let mut draft = Draft::of(view.draft);
    draft.take_answers(items, form);
    draft.tried = true;
    let kept = serde_json::to_value(&draft)?;
    state.ops.keep_draft(&visitor.row, &kept).await?;
    if !wrong_answers(items, &draft).is_empty() {
        return Ok(());
    }
    match state.ops.hand_in_answers(&visitor.row, &draft.answers(items)).await {
        // Nium did, and gives no reason that is meant for the customer.
        Err(OpsError::ActRefused(effect)) if effect.pointer("/said/rule").is_none() => {
            draft.refused = true;
            state.ops.keep_draft(&visitor.row, &serde_json::to_value(&draft)?).await.map(drop)
        }
        done => done.map(drop),
    }
}

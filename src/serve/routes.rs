//! The addresses that the server answers.
//!
//! | address | answer |
//! |---|---|
//! | `/` | the page |
//! | `/parts/NAME` | a section of it, or `figures`, as markup |
//! | `/api/analyses` | the analyses there are |
//! | `/api/analyses/NAME` | the table of one, as JSON, CSV or an Arrow stream |
//! | `/api/values` | the event types, categories and brands that can be chosen |
//! | `/api/status` | rows and commits of the store, and how it grows |

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cartlog_storage::store::{ColumnStatistics, Snapshot};
use serde_json::{Value, json};

use super::answers::Answers;
use super::error::ServeError;
use super::host::Hosts;
use super::page;
use super::pairs::Query;
use super::question::Question;
use super::values::values;
use super::view::View;
use crate::analysis;
use crate::event::{EVENT_TIME, time};
use crate::export::{self, Stream, WriteOptions};
use crate::report::{Figures, Loaded, STYLE, Section, Surroundings};

const SCRIPT: &str = include_str!("page.js");
const FORM_STYLE: &str = include_str!("page.css");
const ICON: &str = include_str!("icon.svg");
/// Nothing from elsewhere, nothing inline, in no frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";
/// The longest head of a request, in bytes.
const MAXIMUM_HEAD: usize = 16 << 10;
/// The formats of a table and their media types, the default first.
const FORMATS: [(&str, &str); 4] = [
    ("json", "application/json"),
    ("csv", "text/csv"),
    ("arrow", "application/vnd.apache.arrow.file"),
    ("arrow", ARROW_STREAM),
];
/// The media type of tables that are read without seeking.
const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";

/// All addresses, for requests that name one of these hosts.
pub(super) fn routes(answers: Arc<Answers>, hosts: Hosts) -> Router {
    Router::new()
        .route("/", get(whole_page))
        .route("/page.css", get(|| async { asset("text/css", &[STYLE, FORM_STYLE].concat()) }))
        .route("/page.js", get(|| async { asset("text/javascript", SCRIPT) }))
        .route("/icon.svg", get(|| async { asset("image/svg+xml", ICON) }))
        .route("/parts/{name}", get(part))
        .route("/api/analyses", get(|| async { Json(analysis::listed(analysis::registry())) }))
        .route("/api/analyses/{name}", get(table))
        .route("/api/values", get(known_values))
        .route("/api/status", get(status))
        .fallback(|request: Request| async move { ServeError::NotFound(request.uri().path().to_owned()) })
        .method_not_allowed_fallback(|| async { ServeError::Method })
        .with_state(answers)
        .layer(middleware::from_fn_with_state(Arc::new(hosts), guard))
}

/// Refuses requests that aren't for this server or come from pages of others, and says what the page may do.
async fn guard(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    let mut answer = match refused(&hosts, &request) {
        Some(error) => error.into_response(),
        None => next.run(request).await,
    };
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Why a request isn't answered.
fn refused(hosts: &Hosts, request: &Request) -> Option<ServeError> {
    let headers = request.headers();
    let length = length_of(request);
    if length > MAXIMUM_HEAD {
        return Some(ServeError::Head { got: length, limit: MAXIMUM_HEAD });
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if !text("host").is_some_and(|host| hosts.answers_to(host)) {
        return Some(ServeError::Host);
    }
    let is_foreign = text("sec-fetch-site") == Some("cross-site") && text("sec-fetch-mode") != Some("navigate");
    is_foreign.then_some(ServeError::CrossSite)
}

/// The bytes of a request's head, but for what is the same in all of them.
fn length_of(request: &Request) -> usize {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    target + request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}

async fn whole_page() -> Response {
    asset("text/html; charset=utf-8", &page::shell())
}

async fn part(
    State(answers): State<Arc<Answers>>,
    Path(name): Path<String>,
    Query(pairs): Query,
) -> Result<Response, ServeError> {
    let view = View::of(pairs)?;
    let markup = if name == "figures" {
        figures(&answers, &view).await?
    } else {
        let section = Section::find(&name).ok_or_else(|| ServeError::NotFound(format!("/parts/{name}")))?;
        let analysis = analysis::find(section.analysis)?;
        let table = answers.ask(analysis, &view.question(analysis, section)?).await?;
        let loaded = Some(loaded(&*answers.snapshot().await?));
        let (width, links) = (f64::from(view.width), &page::Addresses { view: &view, section });
        let around = Surroundings { width, measure: view.measure, links, loaded };
        section.render(&table, &around, &[around.width])?
    };
    Ok(asset("text/html; charset=utf-8", &markup))
}

/// What was loaded into a store.
fn loaded(snapshot: &Snapshot) -> Loaded {
    let totals = snapshot.totals();
    Loaded { read: totals.rows_read, rejected: totals.rows_rejected, duplicate: totals.rows_duplicate }
}

/// The key figures, with the change against the time before if the question has a beginning and an end.
async fn figures(answers: &Arc<Answers>, view: &View) -> Result<String, ServeError> {
    let analysis = analysis::find("key_figures")?;
    let question = view.plain(analysis)?;
    let now = Figures::of(&*answers.ask(analysis, &question).await?)?;
    let Some(earlier) = question.filter.before() else {
        return Ok(now.render(None, "Choose days to see the change against the period before."));
    };
    let [from, to] = [earlier.from, earlier.to].map(|end| end.map(time::format).unwrap_or_default());
    let note = format!("Changes are against the period before, {from} to {to}.");
    let before = answers.ask(analysis, &Question { filter: earlier, ..question }).await?;
    Ok(now.render(Some(&Figures::of(&before)?), &note))
}

async fn table(
    State(answers): State<Arc<Answers>>,
    Path(name): Path<String>,
    Query(mut pairs): Query,
    headers: HeaderMap,
) -> Result<Response, ServeError> {
    let analysis = analysis::find(&name)?;
    let asked = pairs.iter().find(|(name, _)| name == "format").map(|(_, format)| format.clone());
    pairs.retain(|(name, _)| name != "format");
    let (format, media_type) = chosen(asked.as_deref(), &headers)?;
    let table = answers.ask(analysis, &Question::of(analysis, &pairs)?).await?;
    let body = answers.outgoing.write(move || {
        if media_type == ARROW_STREAM {
            return Ok(export::arrow_stream(&table)?);
        }
        let mut bytes = Vec::new();
        let format = export::format(format).ok_or_else(|| ServeError::NotFound(format.to_owned()))?;
        export::write_table(&table, format, Box::new(Stream(&mut bytes)), WriteOptions::default())?;
        Ok(bytes)
    });
    let mut answer = Response::new(body.await?);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if asked.is_some()
        && let Ok(disposition) =
            HeaderValue::from_str(&format!("attachment; filename=\"{}.{format}\"", analysis.name()))
    {
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(answer)
}

/// The format that the query names, else the one that the client likes best.
fn chosen(asked: Option<&str>, headers: &HeaderMap) -> Result<(&'static str, &'static str), ServeError> {
    if let Some(asked) = asked {
        let found = FORMATS.into_iter().find(|(name, _)| *name == asked);
        return found.ok_or_else(|| {
            let expected = "json, csv or arrow";
            super::QuestionError::Value { name: "format", got: asked.to_owned(), expected }.into()
        });
    }
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let offered = accepted.split(',').filter_map(|part| {
        let (media_type, parameters) = part.split_once(';').unwrap_or((part, ""));
        let format = FORMATS.into_iter().find(|(_, known)| known.eq_ignore_ascii_case(media_type.trim()))?;
        let quality =
            parameters.split(';').find_map(|each| each.trim().to_ascii_lowercase().strip_prefix("q=")?.parse().ok());
        Some((quality.unwrap_or(1.0), format))
    });
    // Of those that are as welcome the first one (RFC 9110, 12.5.1).
    let best = |best: (f32, _), next: (f32, _)| if next.0 > best.0 { next } else { best };
    Ok(offered.filter(|(quality, _)| *quality > 0.0).reduce(best).map_or(FORMATS[0], |(_, format)| format))
}

async fn status(State(answers): State<Arc<Answers>>) -> Result<Json, ServeError> {
    let snapshot = answers.snapshot().await?;
    let totals = snapshot.totals();
    let (first, last) = times(&snapshot);
    Ok(Json(json!({
        "rows": snapshot.rows(),
        "commit": snapshot.generation(),
        "first_event": first,
        "last_event": last,
        "rows_per_second": answers.rate(),
        "records_behind": answers.behind(&snapshot),
        "rows_read": totals.rows_read,
        "rows_rejected": totals.rows_rejected,
        "rows_duplicate": totals.rows_duplicate,
    })))
}

/// The times of the first and of the last event.
fn times(snapshot: &Snapshot) -> (Option<String>, Option<String>) {
    let bounds = snapshot.segments().iter().filter_map(|segment| match segment.statistics(EVENT_TIME) {
        ColumnStatistics::Integers { min, max } if segment.rows() > 0 => Some((min, max)),
        _ => None,
    });
    let all = bounds.reduce(|left, right| (left.0.min(right.0), left.1.max(right.1)));
    (all.map(|(first, _)| time::format(first)), all.map(|(_, last)| time::format(last)))
}

async fn known_values(State(answers): State<Arc<Answers>>) -> Result<Json, ServeError> {
    Ok(Json(values(&*answers.snapshot().await?)))
}

fn asset(media_type: &'static str, text: &str) -> Response {
    ([(header::CONTENT_TYPE, media_type)], text.to_owned()).into_response()
}

/// A JSON answer.
struct Json(Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        asset("application/json", &self.0.to_string())
    }
}

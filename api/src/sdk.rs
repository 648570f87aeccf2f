//! The JavaScript SDK as one file, for script tags and imports. The build script makes it of `sdk/src`.

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::header::{self, HeaderName},
};

use crate::routes::Register;

/// With exports at its end.
const MODULE: File = File {
    text: include_str!(concat!(env!("OUT_DIR"), "/hubbub.js")),
    etag: concat!('"', env!("HUBBUB_SDK_VERSION"), "-module", '"'),
};
/// With a global only: exports would not parse.
const SCRIPT: File = File {
    text: include_str!(concat!(env!("OUT_DIR"), "/hubbub.global.js")),
    etag: concat!('"', env!("HUBBUB_SDK_VERSION"), "-script", '"'),
};
/// A page may use what it has for five minutes; then it asks whether that is still the one.
const CACHING: &str = "public, max-age=300";
/// What a browser says of a plain script tag: `no-cors`. Modules are `cors`.
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

struct File {
    text: &'static str,
    etag: &'static str,
}

pub(crate) fn routes(to: &mut impl Register) {
    to.add(either);
    to.add(script);
}

/// The JavaScript SDK: for imports, and for script tags of browsers that say that they are ones (`Hubbub.Client`).
#[utoipa::path(
    tag = "Operations",
    operation_id = "FetchSdk",
    security(()),
    responses(
        (status = 200, description = "OK", body = String, content_type = "text/javascript"),
        (status = 304, description = "It has not changed"),
    )
)]
#[get("/sdk/hubbub.js")]
async fn either(request: HttpRequest) -> HttpResponse {
    let mode = request.headers().get(FETCH_MODE);
    let is_plain = mode.is_some_and(|mode| mode == "no-cors");
    answer(&request, if is_plain { &SCRIPT } else { &MODULE })
}

/// The JavaScript SDK for script tags (`Hubbub.Client`), also where the browser does not say so: over plain HTTP, and
/// with `crossorigin` or `integrity`.
#[utoipa::path(
    tag = "Operations",
    operation_id = "FetchSdkScript",
    security(()),
    responses(
        (status = 200, description = "OK", body = String, content_type = "text/javascript"),
        (status = 304, description = "It has not changed"),
    )
)]
#[get("/sdk/hubbub.global.js")]
async fn script(request: HttpRequest) -> HttpResponse {
    answer(&request, &SCRIPT)
}

fn answer(request: &HttpRequest, file: &File) -> HttpResponse {
    let known = request
        .headers()
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|known| known.to_str().ok())
        .flat_map(|known| known.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == file.etag || tag == "*");
    let mut answer = if known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    answer
        .insert_header((header::ETAG, file.etag))
        .insert_header((header::CACHE_CONTROL, CACHING))
        .insert_header((header::VARY, FETCH_MODE.as_str()))
        // Pages of other hosts may use it.
        .insert_header((
            HeaderName::from_static("cross-origin-resource-policy"),
            "cross-origin",
        ))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if known {
        return answer.finish();
    }
    answer
        .content_type("text/javascript; charset=utf-8")
        .body(file.text)
}

//! `GET /openapi.json`: OpenAPI 3.1, made of the list of routes and of the types themselves.

use super::auth::Role;
use super::problem::Problem;
use super::routes::{Route, all};
use super::schema::SCHEMAS;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use utoipa::ToSchema;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

static DOCUMENT: LazyLock<Vec<u8>> =
    LazyLock::new(|| serde_json::to_vec_pretty(&document(&all())).expect("the document is JSON"));

pub async fn show() -> Response {
    (
        [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "max-age=300"),
        ],
        DOCUMENT.as_slice(),
    )
        .into_response()
}

/// The whole document.
pub fn document(routes: &[Route]) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for route in routes {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation(route);
        for (name, schema) in &route.schemas {
            schemas.insert(name.clone(), schema.clone());
        }
    }
    let (_, problem) = referred::<Problem>();
    schemas.extend(problem);
    // The file's are the full ones of what the types only name.
    schemas.extend(SCHEMAS.clone());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Stampcard",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Events in, decisions out: each sale goes through the shop's rules and is answered with segments, points, tier and follow-ups when they are on disk. Everything that is refused is a problem document (RFC 9457) whose `type` and `code` never change. Money is in minor units of the shop's currency. Lists are read in pages: give `next` back as `cursor`.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": TAGS.iter().map(|(name, about)| json!({"name": name, "description": about})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {
                "type": "http", "scheme": "bearer",
                "description": "A key of this shop; `stampcard key add` makes one. Its role decides what it may do.",
            }},
        },
    })
}

const TAGS: [(&str, &str); 4] = [
    ("events", "What happened, and what it did."),
    (
        "customers",
        "Who they are, what they hold, and what comes next.",
    ),
    ("rules", "Plugins, segments, the catalogue and the outbox."),
    ("server", "How the server is."),
];

fn tag(path: &str) -> &'static str {
    match path.trim_start_matches("/v1/").split('/').next() {
        Some("events" | "preview" | "stream") => "events",
        Some("customers") => "customers",
        _ if path.starts_with("/v1/") => "rules",
        _ => "server",
    }
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = route
        .parameters
        .iter()
        .map(|parameter| json!(parameter))
        .collect();
    parameters.extend(route.headers.iter().map(|header| {
        json!({
            "name": header.name, "in": "header", "required": header.required, "description": header.about,
            "schema": {"type": "string", "pattern": header.pattern},
        })
    }));
    let mut operation = json!({
        "operationId": route.name,
        "tags": [tag(route.path)],
        "summary": route.about.split(['.', ':', ';']).next(),
        "description": described(route),
        "responses": responses(route),
    });
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if let Some(schema) = &route.body {
        operation["requestBody"] =
            json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    if route.may.is_some() {
        operation["security"] = json!([{"key": []}]);
    }
    operation
}

fn described(route: &Route) -> String {
    let Some(may) = route.may else {
        return format!("{} Without a key.", route.about);
    };
    let names: Vec<&str> = may.iter().copied().map(Role::name).collect();
    format!(
        "{} For keys with the role {}.",
        route.about,
        names.join(", ")
    )
}

fn responses(route: &Route) -> Value {
    let answer = &route.answer;
    let schema = answer
        .schema
        .clone()
        .unwrap_or_else(|| match answer.content {
            "application/json" => json!({"type": "object"}),
            _ => json!({"type": "string"}),
        });
    let mut good = json!({
        "description": route.about.split(['.', ':', ';']).next(),
        "content": {answer.content: {"schema": schema}},
    });
    let mut told = answer.headers.clone();
    if route.may.is_some() {
        told.extend(KEY_HEADERS);
    }
    if !told.is_empty() {
        let headers = told.iter().map(|(name, about)| {
            (
                (*name).to_owned(),
                json!({"description": about, "schema": {"type": "string"}}),
            )
        });
        good["headers"] = Value::Object(headers.collect());
    }
    let mut responses = Map::from_iter([(answer.status.to_string(), good)]);
    // A body or a query can be malformed, a key can be missing, and anything can be too much.
    let mut problems: BTreeSet<u16> = route.problems.iter().copied().collect();
    problems.extend([500, 503]);
    if !route.parameters.is_empty() || route.body.is_some() {
        problems.insert(400);
    }
    if route.may.is_some() {
        problems.extend([401, 403, 429]);
    }
    for status in problems {
        let (_, problem) = problem_of(status);
        responses.insert(status.to_string(), problem);
    }
    Value::Object(responses)
}

/// What every answer behind a key says: of the key's quota, and of the rules.
const KEY_HEADERS: [(&str, &str); 3] = [
    (
        "RateLimit-Policy",
        "The key's quota: requests `q` in `w` seconds.",
    ),
    (
        "RateLimit",
        "What is left of it: requests `r`, and the seconds `t` until all of it is back.",
    ),
    (
        "Stampcard-Rule-Book",
        "The number of the rule book that is live. When it is another one than before, read what you keep of the shop's policies again.",
    ),
];

fn problem_of(status: u16) -> (u16, Value) {
    let about = match status {
        301 | 308 => {
            "Two profiles were one person: `merged_into` and Location say who the customer is now."
        }
        400 => "The request is malformed; `pointer` or `parameter` says where.",
        401 => "There is no key, or none that is known.",
        403 => "The key's role may not do this.",
        404 => "There is no such thing.",
        409 => "It is there already, with other contents.",
        412 => {
            "It changed since it was read; `current` is how it is now, `yours` is what you sent."
        }
        413 => "The body is too large.",
        415 => "The body is of a type that is not taken here.",
        422 => "It can be read and cannot be; `pointer` says where, `detail` what to do.",
        428 => "If-Match is missing.",
        429 => "The key has used up its quota; Retry-After says when there is some again.",
        503 => "Not now; Retry-After says when.",
        _ => "A fault of the server.",
    };
    let mut problem = json!({
        "description": about,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    });
    if matches!(status, 429 | 503) {
        problem["headers"] =
            json!({"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}});
    }
    if matches!(status, 301 | 308) {
        problem["headers"] = json!({"Location": {"description": "The same path of who the customer is now.", "schema": {"type": "string"}}});
    }
    (status, problem)
}

/// A reference to a type's schema, and the schemas that it needs.
pub fn referred<T: ToSchema>() -> (Value, Vec<(String, Value)>) {
    let mut schemas = Vec::new();
    T::schemas(&mut schemas);
    schemas.push((T::name().into_owned(), T::schema()));
    let schemas = schemas
        .into_iter()
        .map(|(name, schema)| (name, json!(schema)))
        .collect();
    (
        json!({"$ref": format!("#/components/schemas/{}", T::name())}),
        schemas,
    )
}

/// A page of some items: a reference to it, its name, and its schema.
pub fn page_of(items: &str, schema: Value) -> (Value, String, Value) {
    let name = format!("{items}Page");
    let page = json!({
        "type": "object",
        "description": "One part of a list.",
        "required": ["items"],
        "properties": {
            "items": list_of(schema),
            "next": {"type": "string", "description": "Give it back as `cursor` to read on; absent on the last page."},
        },
    });
    (
        json!({"$ref": format!("#/components/schemas/{name}")}),
        name,
        page,
    )
}

pub fn list_of(schema: Value) -> Value {
    json!({"type": "array", "items": schema})
}

pub fn one_of(schemas: &[Value]) -> Value {
    json!({"oneOf": schemas})
}

pub fn path_parameter(name: &str, about: &str) -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(about))
        .schema(Some(text))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
                    found.push(target.to_owned());
                }
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document(&all());
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50, "{} references", found.len());
        for target in found {
            let pointer = target.strip_prefix('#').unwrap_or(&target);
            assert!(
                document.pointer(pointer).is_some(),
                "{target} leads nowhere"
            );
        }
    }

    #[test]
    fn no_two_schemas_have_the_same_name() {
        let mut known: Map<String, Value> = Map::new();
        for (name, schema) in all().into_iter().flat_map(|route| route.schemas) {
            let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
            assert_eq!(*first, schema, "{name}");
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
        let mut names = BTreeSet::new();
        for route in all() {
            assert!(names.insert(route.name), "{} is there twice", route.name);
            assert!(
                route.about.ends_with('.'),
                "{}: {:?}",
                route.name,
                route.about
            );
        }
    }

    #[test]
    fn every_variable_of_a_path_is_a_parameter() {
        for route in all() {
            let variables = route
                .path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            for variable in variables {
                assert!(
                    route.parameters.iter().any(|known| known.name == variable),
                    "{}: {variable}",
                    route.path
                );
            }
        }
    }

    #[test]
    fn only_what_is_about_the_server_itself_and_what_is_signed_goes_without_a_key() {
        let open: Vec<&str> = all()
            .iter()
            .filter(|route| route.may.is_none())
            .map(|route| route.path)
            .collect();
        let [hooks, rest @ ..] = &open[..] else {
            panic!("there are none");
        };
        assert_eq!(*hooks, "/v1/hooks/{source}");
        assert_eq!(rest, ["/healthz", "/readyz", "/metrics", "/openapi.json"]);
    }
}

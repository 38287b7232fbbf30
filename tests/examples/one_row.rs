//! What a `POST` costs when nothing is decided: an axum route that writes the body as one row and
//! answers when it is on disk. The benchmark compares the real server with it.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use rusqlite::Connection;
use std::sync::{Arc, Mutex};

#[tokio::main]
async fn main() {
    let room = tempfile::tempdir().expect("a temporary folder");
    let database = Connection::open(room.path().join("rows.db")).expect("a database");
    database
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE rows (number INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;",
        )
        .expect("a table");
    let app = Router::new()
        .route("/v1/events", post(keep))
        .with_state(Arc::new(Mutex::new(database)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    println!(
        "listening on http://{}",
        listener.local_addr().expect("an address")
    );
    axum::serve(listener, app)
        .await
        .expect("it serves until it is killed");
}

async fn keep(State(database): State<Arc<Mutex<Connection>>>, body: Bytes) -> &'static str {
    let write = move || {
        let database = database.lock().expect("no writer panicked");
        database
            .execute("INSERT INTO rows (body) VALUES (?1)", [body.as_ref()])
            .expect("a row");
    };
    tokio::task::spawn_blocking(write)
        .await
        .expect("it was written");
    "{}"
}

//! One connection, with its statements prepared once, and a recorder for benchmarks.

use crate::error::Trouble;
use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{Connection, Params, Row, ToSql};
use std::cell::RefCell;

/// Statements kept prepared for each connection; all of the store's fit.
const PREPARED_MAX: usize = 160;

/// A connection as the rooms' files use it: every statement is a text of this program.
pub(crate) struct Sql {
    connection: Connection,
    recording: RefCell<Option<Recording>>,
}

/// The statements of a run in their order, to be replayed with SQLite alone.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    pub statements: Vec<Recorded>,
}

/// One statement with what was bound to it.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub sql: &'static str,
    pub bound: Vec<Value>,
}

impl Sql {
    pub fn new(connection: Connection) -> Sql {
        connection.set_prepared_statement_cache_capacity(PREPARED_MAX);
        Sql {
            connection,
            recording: RefCell::new(None),
        }
    }

    pub fn raw(&self) -> &Connection {
        &self.connection
    }

    /// Runs a statement and says how many rows it changed.
    pub fn run(&self, sql: &'static str, bound: &[&dyn ToSql]) -> rusqlite::Result<usize> {
        self.record(sql, bound)?;
        self.connection.prepare_cached(sql)?.execute(bound)
    }

    /// The first row, if there is one.
    pub fn first<T>(
        &self,
        sql: &'static str,
        bound: &[&dyn ToSql],
        read: impl FnOnce(&Row) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.record(sql, bound)?;
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(bound)?;
        rows.next()?.map(read).transpose()
    }

    /// All rows; for results that are known to be short.
    pub fn all<T>(
        &self,
        sql: &'static str,
        bound: &[&dyn ToSql],
        mut read: impl FnMut(&Row) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let mut all = Vec::new();
        self.each(sql, bound, |row| {
            all.push(read(row)?);
            Ok::<_, rusqlite::Error>(())
        })?;
        Ok(all)
    }

    /// Hands over one row after the other until one of them is refused.
    pub fn each<E: From<rusqlite::Error>>(
        &self,
        sql: &'static str,
        bound: &[&dyn ToSql],
        mut take: impl FnMut(&Row) -> Result<(), E>,
    ) -> Result<(), E> {
        self.record(sql, bound)?;
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(bound)?;
        while let Some(row) = rows.next()? {
            take(row)?;
        }
        Ok(())
    }

    /// Reads rows until one of them gives something.
    pub fn find<T>(
        &self,
        sql: &'static str,
        bound: &[&dyn ToSql],
        mut take: impl FnMut(&Row) -> Result<Option<T>, Trouble>,
    ) -> Result<Option<T>, Trouble> {
        self.record(sql, bound)?;
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(bound)?;
        while let Some(row) = rows.next()? {
            if let Some(found) = take(row)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A text that is built at run time; for reads that people ask for, never for the line.
    pub fn built<T>(
        &self,
        sql: &str,
        bound: impl Params,
        mut read: impl FnMut(&Row) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(bound, |row| read(row))?;
        rows.collect()
    }

    pub fn start_recording(&self) {
        *self.recording.borrow_mut() = Some(Recording::default());
    }

    pub fn take_recording(&self) -> Recording {
        self.recording.borrow_mut().take().unwrap_or_default()
    }

    fn record(&self, sql: &'static str, bound: &[&dyn ToSql]) -> rusqlite::Result<()> {
        if let Some(recording) = self.recording.borrow_mut().as_mut() {
            let bound = bound
                .iter()
                .map(|value| owned(value.to_sql()?))
                .collect::<Result<_, _>>()?;
            recording.statements.push(Recorded { sql, bound });
        }
        Ok(())
    }
}

fn owned(value: ToSqlOutput) -> rusqlite::Result<Value> {
    match value {
        ToSqlOutput::Owned(value) => Ok(value),
        ToSqlOutput::Borrowed(value) => Value::try_from(value)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into())),
        other => Err(rusqlite::Error::ToSqlConversionFailure(
            format!("{other:?} cannot be recorded").into(),
        )),
    }
}

impl Recording {
    /// Runs the statements again on a connection to an equal database, in the recorded groups, and
    /// reads every row that they give.
    pub fn replay(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.set_prepared_statement_cache_capacity(PREPARED_MAX);
        for recorded in &self.statements {
            let mut statement = connection.prepare_cached(recorded.sql)?;
            let mut rows = statement.query(rusqlite::params_from_iter(&recorded.bound))?;
            while rows.next()?.is_some() {}
        }
        Ok(())
    }

    /// How many groups were committed.
    pub fn groups(&self) -> usize {
        self.statements
            .iter()
            .filter(|recorded| recorded.sql == crate::group::COMMIT)
            .count()
    }
}

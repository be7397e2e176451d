//! A schema, compiled once for all batches that it validates.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lake::{
    columns::Column,
    ids::SchemaId,
    ledger::{Ledger, SchemaRecord},
    stream::ReadSettings,
};
use tables::{BatchOrigin, RowBuilder};

use super::request::PlanHead;
use crate::{
    decode::csv::CellTypes,
    enforce::{Compiled, Judge},
    error::Error,
    failpoint,
};

/// How many compiled schemas are kept: a stream uses one, and another one after a change.
const SCHEMAS_KEPT: usize = 4;

/// A schema and its columns, compiled.
pub(super) struct CompiledSchema {
    columns: Vec<Column>,
    pub(super) judge: Judge,
    /// For reading records straight into columns; `None` if only the judge understands the schema.
    pub(super) compiled: Option<Compiled>,
    /// How the cells of CSV are read.
    pub(super) cells: CellTypes,
    /// Row builders of finished tasks: the next task reuses their memory.
    spare: Mutex<Vec<RowBuilder>>,
}

impl CompiledSchema {
    fn of(record: SchemaRecord, judges_all: bool) -> Result<Self, String> {
        let SchemaRecord { json_schema, columns, .. } = record;
        let judge = Judge::compile(&json_schema)?;
        let compiled = if judges_all { None } else { Compiled::compile(&json_schema, &columns) };
        let cells = CellTypes::of(&json_schema, &columns);
        Ok(Self { columns, judge, compiled, cells, spare: Mutex::default() })
    }

    /// A builder for a task's rows.
    pub(super) fn rows(&self, origin: &BatchOrigin) -> RowBuilder {
        match lock(&self.spare).pop() {
            Some(mut rows) => {
                rows.begin_task(origin.clone());
                rows
            }
            None => RowBuilder::new(&self.columns, origin.clone()),
        }
    }

    /// Keeps the memory of an empty builder for the next task.
    pub(super) fn keep(&self, rows: RowBuilder) {
        lock(&self.spare).push(rows);
    }
}

/// Everything that decides what a plan's records become, except their bytes.
pub struct TaskContext {
    pub(super) schema: Arc<CompiledSchema>,
    /// The rows' origin columns.
    pub(super) origin: BatchOrigin,
    /// How the objects are read.
    pub(super) read: ReadSettings,
}

impl TaskContext {
    /// Derived from a schema and the settings of a plan; without compiled rules if `judges_all`.
    ///
    /// # Errors
    /// What is wrong with the schema, in words.
    pub fn new(
        origin: BatchOrigin,
        schema: SchemaRecord,
        read: ReadSettings,
        judges_all: bool,
    ) -> Result<Self, String> {
        Ok(Self { schema: Arc::new(CompiledSchema::of(schema, judges_all)?), origin, read })
    }

    /// Whether the schema's compiled rules read most records.
    pub fn has_rules(&self) -> bool {
        self.schema.compiled.is_some()
    }
}

/// The last compiled schemas.
#[derive(Default)]
pub(super) struct Schemas(Mutex<Vec<(SchemaId, Arc<CompiledSchema>)>>);

impl Schemas {
    /// What a plan's tasks share. Fetches and compiles the plan's schema, unless that was done before.
    ///
    /// # Errors
    /// Those of the ledger; [`Error::Corrupt`] for a schema that does not compile.
    pub(super) async fn context(&self, ledger: &Ledger, plan: &PlanHead) -> Result<TaskContext, Error> {
        let schema = self.compiled(ledger, &plan.schema_id).await?;
        let (batch, ingested_at, schema_id) = (plan.batch, plan.planned_at, plan.schema_id.clone());
        Ok(TaskContext { schema, origin: BatchOrigin { batch, ingested_at, schema_id }, read: plan.read.clone() })
    }

    async fn compiled(&self, ledger: &Ledger, id: &SchemaId) -> Result<Arc<CompiledSchema>, Error> {
        let known = lock(&self.0).iter().find(|(known, _)| known == id).map(|(_, schema)| Arc::clone(schema));
        if let Some(schema) = known {
            return Ok(schema);
        }
        let record = ledger.schema(id).await?;
        // Another version of the program judges every record itself.
        let schema = CompiledSchema::of(record, failpoint::is_other_version());
        let schema = Arc::new(schema.map_err(|what| Error::Corrupt(format!("the planned schema {id} {what}")))?);
        let mut kept = lock(&self.0);
        kept.retain(|(known, _)| known != id);
        kept.insert(0, (id.clone(), Arc::clone(&schema)));
        kept.truncate(SCHEMAS_KEPT);
        Ok(schema)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Makes the table that a ledger is kept in.

use super::TableStore;
use super::layout::{ITEM, PART};
use super::link::Link;
use super::trouble::TableError;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoverySpecification, ScalarAttributeType,
    TableStatus,
};
use std::time::Duration;

/// How often a table that is being made is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How long that may take; it mostly takes seconds.
const PATIENCE: Duration = Duration::from_secs(180);

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The region that the table is in.
    pub region: String,
    /// Whether it was made now; if not, it was there and right.
    pub now: bool,
    /// Whether it can be restored to any moment of the last days.
    pub recovery: Recovery,
}

/// Point-in-time recovery of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// It was switched on.
    On,
    /// The table was there before, and this was left as it is.
    Untouched,
    /// It could not be switched on, for this reason; the table works without.
    Off(String),
}

/// Makes the table if it is not there, and waits until it can be used.
///
/// # Errors
/// [`TableError::OtherKeys`] if there is a table of that name that can't hold a ledger: nothing is changed then.
pub async fn create(store: &TableStore) -> Result<Made, TableError> {
    let link = store.link().await?;
    let there = link.describe().await?;
    if let Some(table) = &there
        && let Some(error @ TableError::OtherKeys { .. }) = link.unfit(table)
    {
        return Err(error);
    }
    let now = there.is_none() && make(&link).await?;
    match tokio::time::timeout(PATIENCE, until_active(&link)).await {
        Ok(active) => active?,
        Err(_) => return Err(TableError::NotActive { table: link.table, status: "CREATING".to_string() }),
    }
    let recovery = if now { switch_recovery_on(&link).await } else { Recovery::Untouched };
    Ok(Made { region: link.region, now, recovery })
}

/// Answers whether it was made here; another may have been faster.
async fn make(link: &Link) -> Result<bool, TableError> {
    let incomplete = |error: aws_sdk_dynamodb::error::BuildError| link.broken(error.to_string());
    let mut call = link.client.create_table().table_name(&link.table).billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [(PART, KeyType::Hash), (ITEM, KeyType::Range)] {
        let key = KeySchemaElement::builder().attribute_name(name).key_type(kind).build().map_err(incomplete)?;
        let text = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        call = call.key_schema(key).attribute_definitions(text.build().map_err(incomplete)?);
    }
    match call.send().await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("ResourceInUseException") => Ok(false),
        Err(error) => Err(link.failed("CreateTable", &error)),
    }
}

async fn until_active(link: &Link) -> Result<(), TableError> {
    loop {
        let table = link.describe().await?;
        match table.as_ref().map(|table| (link.unfit(table), table.table_status())) {
            Some((Some(error @ TableError::OtherKeys { .. }), _)) => return Err(error),
            Some((_, Some(TableStatus::Deleting))) => {
                return Err(TableError::NotActive { table: link.table.clone(), status: "DELETING".to_string() });
            }
            Some((None, _)) => return Ok(()),
            // A table that was just made may not be seen by every reader yet.
            Some((Some(_), _)) | None => tokio::time::sleep(LOOK).await,
        }
    }
}

async fn switch_recovery_on(link: &Link) -> Recovery {
    let on = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build();
    let call = link.client.update_continuous_backups().table_name(&link.table);
    let call = match on {
        Ok(on) => call.point_in_time_recovery_specification(on),
        Err(error) => return Recovery::Off(error.to_string()),
    };
    match call.send().await {
        Ok(_) => Recovery::On,
        Err(error) => match link.failed("UpdateContinuousBackups", &error) {
            TableError::Call { source, .. } => Recovery::Off(chain(source.as_ref())),
            error => Recovery::Off(error.to_string()),
        },
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

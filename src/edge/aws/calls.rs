//! Counts the calls that the SDK sends: each attempt, by what became of it.

use super::failure::Failure;
use crate::edge::metrics::Metrics;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// An interceptor of every client.
#[derive(Clone, Debug, Default)]
pub struct CountCalls {
    metrics: Metrics,
}

impl CountCalls {
    /// Into these metrics.
    pub fn of(metrics: Metrics) -> CountCalls {
        CountCalls { metrics }
    }
}

impl Intercept for CountCalls {
    fn name(&self) -> &'static str {
        "CountCalls"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(call) = config.load::<Metadata>() else { return Ok(()) };
        let status = match (context.output_or_error(), context.response()) {
            (Some(Ok(_)), _) => "ok",
            (_, Some(response)) => refusal(response),
            (Some(Err(error)), None) if error.is_connector_error() || error.is_timeout_error() => "unreached",
            // No credentials, or a role that can't be assumed.
            (_, None) => "unsent",
        };
        self.metrics.called(call.service(), call.name(), status);
        Ok(())
    }
}

/// What DynamoDB answers where a write's condition does not hold: in a ledger that is how a race is decided.
const CONDITIONS: [&str; 2] = ["ConditionalCheckFailedException", "TransactionCanceledException"];

/// What a refusal came to, by the same reading as everywhere.
fn refusal(response: &HttpResponse) -> &'static str {
    let code = response.body().bytes().and_then(code_in);
    if code.as_deref().is_some_and(|code| CONDITIONS.contains(&code)) {
        return "rejected";
    }
    match Failure::of(code.as_deref(), Some(response.status().as_u16())) {
        Failure::Throttled => "throttled",
        Failure::Denied => "denied",
        Failure::Gone => "gone",
        Failure::Rejected => "rejected",
        Failure::Transient => "failed",
    }
}

/// AWS's error code in the body of a refusal: `__type` of the JSON services, `<Code>` of IAM and STS.
fn code_in(body: &[u8]) -> Option<String> {
    if let Ok(refusal) = serde_json::from_slice::<serde_json::Value>(body) {
        let code = refusal.get("__type").or_else(|| refusal.get("code"))?.as_str()?;
        let code = code.rsplit('#').next()?;
        return Some(code.split(':').next()?.to_string());
    }
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once("<Code>")?;
    Some(rest.split_once("</Code>")?.0.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#, Some("ThrottlingException"))]
    #[case(r#"{"__type":"com.amazonaws.logs#ResourceNotFoundException"}"#, Some("ResourceNotFoundException"))]
    #[case(r#"{"__type":"AccessDeniedException:http://internal/"}"#, Some("AccessDeniedException"))]
    #[case("<ErrorResponse><Error><Code>NoSuchEntity</Code></Error></ErrorResponse>", Some("NoSuchEntity"))]
    #[case("<html>busy</html>", None)]
    #[case("", None)]
    fn the_code_stands_in_the_body(#[case] body: &str, #[case] code: Option<&str>) {
        assert_eq!(code_in(body.as_bytes()).as_deref(), code);
    }
}

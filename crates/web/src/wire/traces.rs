//! What OpenTelemetry's exporters are answered, in the protocol's JSON.

use serde::Serialize;
use utoipa::ToSchema;

/// `ExportTraceServiceResponse`.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportTraceResponse {
    /// There if spans are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartialSuccess {
    /// How many spans are refused permanently, as decimal text.
    pub rejected_spans: String,
    /// Why.
    pub error_message: String,
}

/// `google.rpc.Status`.
#[derive(Debug, Serialize, ToSchema)]
pub struct OtlpStatus {
    /// A code of gRPC.
    pub code: u64,
    /// What is wrong.
    pub message: String,
}

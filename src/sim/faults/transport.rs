//! A way to Langfuse on which the controller crashes as its hazards say.

use super::hazards::Hazards;
use crate::registry::langfuse::transport::{NoReply, Reply, Request, Transport};
use crate::sim::langfuse::Model;
use async_trait::async_trait;
use std::sync::Arc;

/// A model of a Langfuse, reached by a controller that may crash before each request and after it was
/// carried out.
#[derive(Debug)]
pub struct HazardousTransport {
    behind: Arc<Model>,
    hazards: Arc<Hazards>,
}

impl HazardousTransport {
    /// Puts `hazards` in front of `behind`.
    pub fn new(behind: Arc<Model>, hazards: Arc<Hazards>) -> Self {
        Self { behind, hazards }
    }
}

#[async_trait]
impl Transport for HazardousTransport {
    async fn send(&self, request: Request) -> Result<Reply, NoReply> {
        self.hazards.point().await;
        let answer = self.behind.send(request).await;
        self.hazards.point().await;
        answer
    }
}

//! The time that a head may take, without a timer of its own for each request.
//!
//! A connection that is kept waits for a head after every answer. A timer for each of these waits would be
//! entered into the runtime's wheel and taken out again with every request. Here a connection has one timer, which
//! is left alone while its deadline moves on: when it goes off too early, it is set to the deadline of that
//! moment.

use hyper::rt::{Sleep, Timer};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The timer of one connection.
#[derive(Debug, Clone)]
pub(super) struct HeadTimer(Arc<Mutex<Pin<Box<tokio::time::Sleep>>>>);

impl HeadTimer {
    /// A timer whose first deadline is `patience` from now; needs a Tokio runtime.
    pub(super) fn new(patience: Duration) -> Self {
        Self(Arc::new(Mutex::new(Box::pin(tokio::time::sleep(patience)))))
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Wait {
            deadline: deadline.into(),
            timer: self.clone(),
        })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// One wait for a head.
#[derive(Debug)]
struct Wait {
    deadline: tokio::time::Instant,
    timer: HeadTimer,
}

impl Sleep for Wait {}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut timer = self.timer.0.lock().unwrap_or_else(PoisonError::into_inner);
        while timer.as_mut().poll(context).is_ready() {
            if timer.deadline() >= self.deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(self.deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_wait_ends_at_its_own_deadline() {
        let timer = HeadTimer::new(Duration::from_secs(30));
        let began = timer.now();
        let seconds = |seconds| Duration::from_secs(seconds);
        // Heads that come in time: the waits are given up.
        for _ in 0..3 {
            let wait = timer.sleep_until(timer.now() + seconds(30));
            assert!(tokio::time::timeout(seconds(20), wait).await.is_err());
        }
        assert_eq!(timer.now() - began, seconds(60));
        // One that does not.
        timer.sleep(seconds(30)).await;
        assert_eq!(timer.now() - began, seconds(90));
        // The next one begins anew.
        timer.sleep(seconds(30)).await;
        assert_eq!(timer.now() - began, seconds(120));
    }
}

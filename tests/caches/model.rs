//! As much of Redis as caches ask of it: RESP2, users, `DEL`, `SET … XX KEEPTTL`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// How a Redis answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Connections break off.
    Away,
    /// Nobody answers.
    Silent,
    /// Whatever writes is refused.
    ReadOnly,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    password: Option<&'static str>,
    /// Values, and seconds to live where they have an end.
    keys: BTreeMap<String, (String, Option<u32>)>,
    commands: Vec<Vec<String>>,
}

/// A Redis at a free port.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Model {
    pub(crate) async fn start(password: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(Mutex::new(State {
            mood: Mood::Well,
            password,
            keys: BTreeMap::new(),
            commands: Vec::new(),
        }));
        let url = format!("redis://{}/3", listener.local_addr().unwrap());
        let answering = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&answering)));
            }
        });
        Self { url, state }
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// What an application does: a value that lives for so long.
    pub(crate) fn put(&self, key: &str, value: &str, seconds: u32) {
        let mut state = self.state.lock().unwrap();
        state
            .keys
            .insert(key.to_owned(), (value.to_owned(), Some(seconds)));
    }

    pub(crate) fn get(&self, key: &str) -> Option<(String, Option<u32>)> {
        self.state.lock().unwrap().keys.get(key).cloned()
    }

    /// The commands since this was last asked, without those that begin a connection.
    pub(crate) fn take_commands(&self) -> Vec<String> {
        let commands = std::mem::take(&mut self.state.lock().unwrap().commands);
        let told = commands
            .into_iter()
            .filter(|command| !matches!(command[0].as_str(), "AUTH" | "SELECT"));
        told.map(|command| command.join(" ")).collect()
    }

    /// Which database was chosen last.
    pub(crate) fn database(&self) -> Option<String> {
        let state = self.state.lock().unwrap();
        let mut selects = state.commands.iter().filter(|command| command[0] == "SELECT");
        selects.next_back().map(|command| command[1].clone())
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    let mut is_known = state.lock().unwrap().password.is_none();
    while let Some(command) = command(&mut lines).await {
        let mood = state.lock().unwrap().mood;
        let answer = match mood {
            Mood::Away => return,
            Mood::Silent => continue,
            Mood::Well | Mood::ReadOnly => {
                let mut state = state.lock().unwrap();
                state.commands.push(command.clone());
                state.answer(&command, &mut is_known)
            }
        };
        if write.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A command: an array of bulk strings.
async fn command(lines: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Vec<String>> {
    let count = length(lines, '*').await?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut bytes = vec![0; length(lines, '$').await? + 2];
        lines.read_exact(&mut bytes).await.ok()?;
        bytes.truncate(bytes.len() - 2);
        words.push(String::from_utf8(bytes).unwrap());
    }
    Some(words)
}

async fn length(lines: &mut (impl AsyncBufReadExt + Unpin), sign: char) -> Option<usize> {
    let mut line = String::new();
    lines.read_line(&mut line).await.ok()?;
    line.trim_end().strip_prefix(sign)?.parse().ok()
}

impl State {
    fn answer(&mut self, command: &[String], is_known: &mut bool) -> String {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        if let ["AUTH", .., password] = words[..] {
            *is_known = Some(password) == self.password;
            let refused = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
            return if *is_known { "+OK\r\n" } else { refused }.to_owned();
        }
        if !*is_known {
            return "-NOAUTH Authentication required.\r\n".to_owned();
        }
        match words[..] {
            ["SELECT", _] => "+OK\r\n".to_owned(),
            ["DEL" | "SET", ..] if self.mood == Mood::ReadOnly => {
                "-READONLY You can't write against a read only replica.\r\n".to_owned()
            }
            ["DEL", key] => format!(":{}\r\n", u8::from(self.keys.remove(key).is_some())),
            ["SET", key, value, "XX", "KEEPTTL"] => match self.keys.get_mut(key) {
                Some(held) => {
                    value.clone_into(&mut held.0);
                    "+OK\r\n".to_owned()
                }
                None => "$-1\r\n".to_owned(),
            },
            _ => format!("-ERR unknown command '{}'\r\n", words.join(" ")),
        }
    }
}

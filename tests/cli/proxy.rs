//! A line to the API server that can be cut, and a proxy as companies have them: inside the test, both.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::home::host_and_port;
use crate::world::World;

/// The line. What runs over it breaks when it is cut.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    cut: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Line {
    /// To the world's API server.
    pub(crate) fn to(world: &World) -> Line {
        let text = std::fs::read_to_string(world.lab.kubeconfig("alice")).unwrap();
        let config: Value = serde_yaml::from_str(&text).unwrap();
        let server = host_and_port(config["clusters"][0]["cluster"]["server"].as_str().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, state) = (listener.local_addr().unwrap(), Arc::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if shared.cut.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(far) = TcpStream::connect((server.0.as_str(), server.1)) else { continue };
                let pair = [near.try_clone().unwrap(), far.try_clone().unwrap()];
                shared.open.lock().unwrap().extend(pair);
                carry(near.try_clone().unwrap(), far.try_clone().unwrap());
                carry(far, near);
            }
        });
        Line { address, state }
    }

    /// Breaks every connection; nobody gets a new one.
    pub(crate) fn cut(&self) {
        self.state.cut.store(true, Ordering::SeqCst);
        // The listener waits for one more; then it is closed.
        let _ = TcpStream::connect(self.address);
        self.disturb();
    }

    /// Breaks every connection; new ones can be made.
    pub(crate) fn disturb(&self) {
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.cut();
    }
}

/// A proxy as HTTPS_PROXY names it: it connects to what it is asked for, and remembers that.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Gateway {
    /// For everybody, or for who has this name and password.
    pub(crate) fn open(password: Option<&str>) -> Gateway {
        use base64::Engine as _;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let line = password.map(|p| {
            format!("proxy-authorization: Basic {}", base64::engine::general_purpose::STANDARD.encode(p))
        });
        let remembers = Arc::clone(&asked);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let (line, remembers) = (line.clone(), Arc::clone(&remembers));
                std::thread::spawn(move || lead(near, line.as_deref(), &remembers));
            }
        });
        Gateway { address, asked }
    }

    /// What it was asked for since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn lead(mut near: TcpStream, wanted: Option<&str>, asked: &Mutex<Vec<String>>) {
    let head: Vec<String> =
        BufReader::new(&near).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let to = head.first().and_then(|line| line.strip_prefix("CONNECT ")?.split(' ').next());
    let known = wanted.is_none_or(|wanted| head.iter().any(|line| line.eq_ignore_ascii_case(wanted)));
    let Some(far) = to.filter(|_| known).and_then(|to| TcpStream::connect(to).ok()) else {
        let _ = near.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
        return;
    };
    asked.lock().unwrap().extend(to.map(str::to_owned));
    near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
    carry(near.try_clone().unwrap(), far.try_clone().unwrap());
    carry(far, near);
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

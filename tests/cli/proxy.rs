//! A line to the API server that can be cut: a TCP proxy inside the test.

use std::io;
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

fn carry(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

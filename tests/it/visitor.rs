//! A visitor of the hosted page.

use reqwest::Method;

pub use crate::browser::{Browser, Seen};
use crate::house::House;

impl Browser {
    pub fn new(house: &House) -> Self {
        Self::at(house.public)
    }

    /// Opens a link and begins a visit.
    pub async fn enter(&mut self, url: &str) -> Seen {
        assert_eq!(self.get(url).await.status, 200);
        let path = url.split('?').next().unwrap().to_owned();
        self.post(&path, "lang=en").await.leads_to("/correct");
        self.get("/correct").await
    }
}

pub async fn link(house: &House, id: &str) -> String {
    let path = format!("/v1/customers/{id}/correction-link");
    let (status, answer) = house.ask(Method::POST, &path, None).await;
    assert_eq!(status, 201, "{answer}");
    answer["url"].as_str().unwrap().to_owned()
}

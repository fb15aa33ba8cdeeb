//! The API without a network.

use reqwest::{Method, Request, Url};
use retort_service::{Caller, Error};
use retort_testing_server::server::on_both;
use retort_web::InProcess;
use serde_json::Value;

fn get(path: &str) -> Request {
    Request::new(Method::GET, Url::parse("http://here/api/v1/").unwrap().join(path).unwrap())
}

#[tokio::test]
async fn the_api_answers_in_process_as_its_caller_and_with_the_services_own_errors() {
    on_both(async |server| {
        let id = server.conversation(&server.ann).await;
        let api = InProcess::new(server.service.clone(), Caller::local(&server.p));
        let page: Value = api.answer(get("conversations")).await.unwrap().json().await.unwrap();
        assert_eq!(page["conversations"][0]["id"], id.as_str());

        let problem = api.answer(get("conversations/none")).await.unwrap_err();
        assert!(matches!(problem.error(), Some(Error::NotFound { .. })), "{problem:?}");
        let problem = api.answer(get("conversations?limit=0")).await.unwrap_err();
        assert_eq!((problem.kind().status, problem.detail()), (400, "`limit` is 1 to 1000"));

        // Who asks is what the process says, whatever a request shows; over a connection, nobody is trusted.
        let other = InProcess::new(server.service.clone(), Caller::local(&server.q));
        let mut request = get("conversations?project=p");
        request.headers_mut().insert("authorization", "Bearer x".parse().unwrap());
        let page: Value = other.answer(request).await.unwrap().json().await.unwrap();
        assert_eq!(page["conversations"].as_array().unwrap().len(), 0);
        server.request("GET", "/api/v1/conversations").send().await.refused(401, "unauthenticated");
    })
    .await;
}

#[tokio::test]
async fn nobody_in_process_asks_too_often_or_waits_for_others() {
    on_both(async |server| {
        let api = InProcess::new(server.service.clone(), Caller::local(&server.p));
        for _ in 0..200 {
            api.answer(get("conversations/count")).await.unwrap();
        }
    })
    .await;
}

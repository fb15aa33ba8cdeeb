//! What must always hold of readers: no bytes make them panic or hang, faults are named at a byte of the item,
//! and JSON is what JSON is elsewhere.

use std::io::Cursor;
use std::sync::mpsc::channel;
use std::time::Duration;

use arbtest::arbitrary::{self, Unstructured};
use arbtest::arbtest;
use retort_formats::data::{self, ShapeContext, ShapeOptions, ToolCache};
use retort_formats::file::{self, FileOptions};
use retort_formats::import::split::{Batch, Splitter};
use retort_formats::import::{Entry, FORMATS, ImportFormat, ItemError, Notes, Sniff, recognise};
use retort_json::{Parser, RawJson, Value, unescape_into, write_string};
use retort_model::{Conversation, Item};
use retort_testing::{files_below, real_data};

/// Valid items, at least one of each format, with every field that a reader looks at.
const SEEDS: &[&str] = &[
    r#"{"instruction":"q","input":"i","output":"a","system":"S","history":[["q1","a1"]],"chosen":"a","rejected":"b","id":"x"}"#,
    r#"{"prompt":[{"role":"user","content":"q"}],"answer":"[{\"name\":\"f\",\"arguments\":{}}]","ground_truth":"g","label":"rejected","rating":"1","comment":"c","tools":null}"#,
    r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]},"scopeSpans":[{"scope":{"name":"x"},"spans":[{"traceId":"f1","spanId":"a","parentSpanId":"b","name":"chat","kind":3,"startTimeUnixNano":"1700000001000000000","endTimeUnixNano":"1700000002000000000","attributes":[{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},{"key":"gen_ai.usage.input_tokens","value":{"intValue":"1"}},{"key":"session.id","value":{"stringValue":"s"}},{"key":"gen_ai.system_instructions","value":{"stringValue":"[{\"type\":\"text\",\"content\":\"S\"}]"}},{"key":"gen_ai.input.messages","value":{"arrayValue":{"values":[{"kvlistValue":{"values":[{"key":"role","value":{"stringValue":"user"}},{"key":"content","value":{"stringValue":"q"}}]}}]}}},{"key":"gen_ai.completion.0.role","value":{"stringValue":"assistant"}},{"key":"gen_ai.completion.0.content","value":{"stringValue":"a"}},{"key":"retrieval.documents.0.document.content","value":{"stringValue":"p"}}],"events":[{"name":"exception","attributes":[{"key":"exception.message","value":{"stringValue":"e"}}]}],"status":{"code":2,"message":"m"}}]}]}]}"#,
    r#"{"name":"ai.toolCall","spanContext":{"traceId":"f1","spanId":"a"},"startTime":[1700000001,5],"endTime":[1700000002,5],"status":{"code":0},"attributes":{"ai.operationId":"ai.toolCall","ai.toolCall.id":"k","ai.toolCall.name":"f","ai.toolCall.args":"{}","ai.toolCall.result":"1"},"events":[]}"#,
    r#"{"trace":{"id":"t","name":"n","timestamp":"2025-01-02T03:04:05Z","sessionId":"s","input":"\"q\"","tags":["x"],"scores":[{"id":"1","name":"n","value":1,"comment":"c"}]},"observations":[{"id":"o","traceId":"t","type":"GENERATION","startTime":"2025-01-02T03:04:05Z","model":"m","input":"[{\"role\":\"user\",\"content\":\"q\"}]","output":{"choices":[{"message":{"role":"assistant","content":"a"}}]},"usageDetails":{"input":1},"totalCost":0.1,"toolDefinitions":{"f":"{}"},"metadata":{"attributes":{"gen_ai.agent.name":"b"}},"level":"ERROR","statusMessage":"e"}]}"#,
    r#"{"batch":[{"id":"1","type":"trace-create","body":{"id":"t","name":"n"}},{"id":"2","type":"generation-create","body":{"id":"o","traceId":"t","startTime":"2025-01-02T03:04:05Z","input":{"messages":[{"role":"user","content":"q"}]},"output":{"role":"assistant","content":"a"}}},{"id":"3","type":"score-create","body":{"id":"x","traceId":"t","name":"n","value":1,"dataType":"NUMERIC"}}],"metadata":{}}"#,
    r#"{"id":"r","trace_id":"t","dotted_order":"20240101T000000000000Zt.20240101T000000000000Zr","parent_run_id":"t","name":"ChatOpenAI","run_type":"llm","start_time":"2024-01-01T00:00:00","end_time":"2024-01-01T00:00:01","inputs":{"messages":[[{"lc":1,"type":"constructor","id":["langchain","schema","messages","HumanMessage"],"kwargs":{"content":"q"}}]]},"outputs":{"generations":[[{"text":"a","message":{"type":"ai","content":"a"}}]]},"extra":{"metadata":{"ls_model_name":"m","thread_id":"s"},"invocation_params":{"tools":[{"name":"f"}]}},"error":null,"prompt_tokens":1,"feedback":[{"key":"k","score":1}]}"#,
    r#"{"trace":{"id":"t","project_id":"p","name":"n","start_time":"2025-01-02 03:04:05+00:00","input":{"q":"q"},"error_info":{"exception_type":"E","message":"m","traceback":"b"},"feedback_scores":[{"name":"n","value":1,"category_name":"c","reason":"r"}],"thread_id":"s","tags":["x"]},"spans":[{"id":"o","trace_id":"t","parent_span_id":null,"name":"n","type":"llm","start_time":"2025-01-02 03:04:05+00:00","end_time":"2025-01-02 03:04:06+00:00","input":{"messages":[{"role":"user","content":"q"}]},"output":{"content":[{"type":"text","text":"a"}]},"usage":{"prompt_tokens":1},"total_estimated_cost":0.1,"metadata":{"tools":[{"name":"f"}],"opik_prompts":[{"version":{"template":"p"}}]}}],"attachments":[{"file_name":"f"}],"downloaded_at":"2025-01-03","project_name":"p"}"#,
    r#"{"page":1,"size":1,"content":[{"id":"o","traceId":"t","type":"tool","startTime":"2025-01-02T03:04:05Z","input":{"a":1},"output":{"output":"r"}},{"id":"t","projectId":"p","startTime":"2025-01-02T03:04:05Z","threadId":"s"}]}"#,
    r#"{"id":"c","project_id":"e/p","op_name":"weave:///e/p/op/openai.chat.completions.create:v","display_name":null,"trace_id":"t","parent_id":null,"thread_id":"s","started_at":"2025-01-02T03:04:05Z","ended_at":"2025-01-02T03:04:06Z","attributes":{"weave":{"kind":"llm"},"user_id":"u"},"inputs":{"model":"m","messages":[{"role":"user","content":"q"}],"tools":[{"name":"f"}]},"output":{"choices":[{"message":{"role":"assistant","content":"a"}}]},"exception":"e","summary":{"usage":{"m":{"prompt_tokens":1}},"weave":{"status":"error","costs":{"m":{"prompt_tokens_total_cost":0.1}},"feedback":[{"feedback_type":"n","payload":{"note":"x"}}]}}}"#,
    r#"{"calls":[{"id":"c","op_name":"langchain.Retriever.x","trace_id":"t","parent_id":"d","started_at":"2025-01-02T03:04:05Z","inputs":{"q":"q"},"output":[{"page_content":"p"}]}]}"#,
    r#"{"id":"r","span_id":"o","root_span_id":"t","span_parents":["p","q"],"span_attributes":{"name":"n","type":"llm","purpose":"scorer"},"input":[{"role":"user","content":"q"}],"output":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"a"}}],"expected":"e","error":{"m":1},"scores":{"s":0.5,"z":null},"metadata":{"model":"m","tools":[{"name":"f"}],"session_id":"s","user_id":"u"},"metrics":{"start":1700000001.5,"end":1700000002,"prompt_tokens":1,"estimated_cost":0.1},"tags":["x"],"created":"2025-01-02T03:04:05Z","_is_merge":true,"project_id":"p"}"#,
    r#"{"events":[{"id":"r","span_id":"o","root_span_id":"t","span_parents":"[\"p\"]","metrics":"{\"start\":1}","created":"2025-01-02T03:04:05Z"}],"cursor":null}"#,
    r#"{"info":{"trace_id":"t","request_time":"2025-01-02T03:04:05Z","state":"OK","trace_metadata":{"mlflow.trace.session":"s","mlflow.traceInputs":"{}"},"assessments":[{"assessment_name":"n","feedback":{"value":true}},{"assessment_name":"e","expectation":{"value":"x"}}]},"data":{"spans":[{"trace_id":"t","span_id":"1","parent_span_id":null,"name":"n","start_time_unix_nano":1700000001000000000,"end_time_unix_nano":1700000002000000000,"status":{"code":"OK"},"attributes":{"mlflow.spanType":"\"LLM\"","mlflow.spanInputs":"{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]}","mlflow.spanOutputs":"\"a\""}}]}}"#,
    r#"{"uuid":"c","name":"t","created_at":"2025-01-02T03:04:05Z","account":{"uuid":"x"},"current_leaf_message_uuid":"b","chat_messages":[{"uuid":"a","parent_message_uuid":"00000000-0000-4000-8000-000000000000","sender":"human","text":"q","content":[{"type":"text","text":"q"}],"attachments":[{"file_name":"f","extracted_content":"p"}],"files":[{"file_name":"g"}]},{"uuid":"b","parent_message_uuid":"a","sender":"assistant","text":"a","stop_reason":"end_turn","chat_feedback":{"type":"upvote","reason":"r"},"content":[{"type":"thinking","thinking":"h","summaries":[]},{"type":"tool_use","id":"k","name":"n","input":{}},{"type":"tool_result","tool_use_id":"k","content":[{"type":"text","text":"r"}],"is_error":false},{"type":"token_budget"},{"type":"text","text":"a"}]}]}"#,
    r#"{"title":"t","create_time":1.5,"conversation_id":"c","current_node":"c","is_starred":true,"mapping":{"r":{"id":"r","message":null,"parent":null,"children":["a"]},"a":{"id":"a","parent":"r","children":["b"],"message":{"id":"a","author":{"role":"user"},"content":{"content_type":"multimodal_text","parts":[{"content_type":"image_asset_pointer","asset_pointer":"file-service://x"},"q"]},"metadata":{"attachments":[{"id":"y"}]}}},"b":{"id":"b","parent":"a","children":["c","d"],"message":{"id":"b","author":{"role":"assistant"},"recipient":"python","content":{"content_type":"code","text":"1"}}},"c":{"parent":"b","message":{"author":{"role":"tool","name":"python"},"content":{"content_type":"execution_output","text":"1"}}},"d":{"parent":"b","message":{"author":{"role":"assistant"},"content":{"content_type":"thoughts","thoughts":[{"summary":"s","content":"c"}]}}}}}"#,
    r#"{"retort":1,"id":"x","source":"s","kind":"agent","title":"T","tags":["t"],"status":"favorite","created_at":"2024-01-01T00:00:00Z","current":0,"rounds":[{"number":1,"parent":null,"tools":[{"name":"f"}],"messages":[{"role":"user","content":[{"type":"text","text":"q"},{"type":"image","raw":{}}]},{"role":"assistant","content":null,"tool_calls":[{"id":"k","name":"f","arguments":"{}"}],"feedback":{"rating":1,"label":"l","comment":"c"}}],"input_tokens":1}],"tasks":[{"id":"t","rounds":[]}],"metadata":{"k":[1, 2]}}"#,
    r#"{"convo":{"id":"u","name":"n","messages":[{"role":"user","content":[{"type":"text","text":"q"}],"contexts":[{"text":"p"}],"tools":[{"name":"w","aiGeneratedArgumentValues":{"a":1},"output":{"text":"r"}}]},{"role":"assistant","content":"a","feedback":{"isPositive":true,"category":"c"}}],"model":{"id":"m"},"prompt":"S","temperature":0.4,"createdAt":"2024-01-01"},"convo_id":"u","course_name":"c","created_at":"2023-08-14T16:35:40.508062-07:00","id":7,"user_email":null}"#,
    r#"{"convo":"{\"id\":\"u\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"prompt\":\"\"}","convo_id":"u"}"#,
    r#"{"_id":{"$oid":"5f"},"type":"graph","title":"T","tags":["a"],"created_at":{"$date":{"$numberLong":"1700000000000"}},"status":"active","round_count":2,"graph_name":"g","rounds":[{"round":1,"node_name":"start","messages":[{"role":"user","content":"go"}],"tools":[]},{"round":2,"node_name":"n","agent_name":"a","model":"m","prompt_tokens":1,"tools":[{"type":"function","function":{"name":"f"}}],"messages":[{"role":"user","content":"q"},{"role":"assistant","reasoning_content":"r","content":"","tool_calls":[{"id":"k","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"k","content":"r"}]}],"tasks":[{"task_id":"t","rounds":[{"round":1,"tool_call_id":"k","messages":[]}]}]}"#,
    r#"[{"_id":"x","type":"agent","round_count":1,"total_token_usage":{}},{"_id":"x","rounds":[{"messages":[{"role":"user","content":"q"}]}]}]"#,
    r#"{"id":"s","conversations":[{"from":"human","value":"q"},{"from":"function_call","value":"[{\"name\":\"f\",\"arguments\":{}}]"},{"from":"observation","value":"r"},{"from":"gpt","value":"a"}],"tools":"[{\"name\":\"f\"}]","system":"S"}"#,
    r#"{"id":"o","title":"T","tags":["t"],"model":"m","create_time":1722470400.25,"usage":{"prompt_tokens":1},"tools":[{"type":"function","function":{"name":"f"}}],"messages":[{"role":"developer","content":"S"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}},{"type":"text","text":"q"}]},{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{"}},{"role":"assistant","refusal":"no","error":{"code":1}}],"response":{"choices":[{"message":{"role":"assistant","content":"a"}}]}}"#,
    r#"[{"role":"user","content":"\ud83d\ude00 \ud800 \/ \\ \" \u0000"},{"role":"assistant","content":[{"type":"reasoning","text":"r"},{"type":"tool_call","text":"{\"name\":\"f\",\"arguments\":{}}"}]}]"#,
    r#"{"messages":[{"from":"human","value":"q"}],"data_source":"chat","ability":["t"],"extra":""}"#,
    r#"{"request_id":"r","source":"copilot","source_id":"c","version":2,"thread":"t","owner":"a@b.c","question":"q","inputs":{"a":1},"answer":"a","error":null,"status":"completed","files":[{"uri":"s3://b/k","name":"k","content_type":"x/y","size":3,"etag":"e"},"s3://b/l"],"contexts":[{"text":"p"}],"nodes":[{"id":"n1","node":"start","kind":"agent","nodes":[{"node":"in","parent":"n1","prompt":"Say {x}","variables":{"x":"y","input":[1]},"input":"i","output":{"o":1},"usage":{"prompt_tokens":1,"completion_tokens":2,"total":3},"status":"failed","error":{"m":1},"latency_ms":5,"started_at":1700000000}]}],"feedback":{"rating":1,"label":"l","comment":"c","by":"x"},"ground_truth":"g","started_at":"2026-01-02T03:04:05Z","finished_at":"2026-01-02T03:04:06Z","metadata":{"k":[1]}}"#,
    r#"{"requestId":"r","recipe_id":7,"input_message":"q","batch_status":"inProcess","files":{"documents":["s3://x"],"metadata":{"a":1}},"trace":{"data":[{"process":"generate_embeddings","details":{"prompt":{"input":"{\"a\":1}","output":[0.1]}}}]},"nodes":{"a":{"parent":1},"b":{"parent":"a"}}}"#,
    r#"{"prompt":[{"role":"system","content":"S"},{"role":"user","content":"q"}],"completion":[{"role":"assistant","content":"a","tool_calls":[{"id":"k","type":"function","function":{"name":"f","arguments":"{}"}}]}],"tools":null,"id":"p"}"#,
    r#"{"id":"t","messages":"[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":NaN}]","created_at":"Tue, 02 Jan 2024 03:04:05 +0000","score":-Infinity}"#,
    r#"{"system":"S","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"k","content":[{"type":"text","text":"r"}]},{"type":"zz","text":"x"}]},{"role":"assistant","weight":0,"content":[{"type":"thinking","thinking":"h"},{"type":"tool_use","id":"k","name":"f","input":{}}],"stop_reason":"max_tokens"},{"type":"ai","data":{"content":"a","tool_calls":[{"name":"f","args":{},"id":"k"}]}},{"role":"assistant","content":"a","toolInvocations":[{"toolCallId":"k","toolName":"f","args":{},"result":1}],"parts":[{"type":"step-start"}]}],"chosen":"a","rejected":[{"role":"assistant","content":"b"}],"label":false}"#,
    r#"[{"role":"user","parts":[{"text":"q"},{"functionResponse":{"name":"f","response":{}}}]},{"type":"reasoning","summary":[{"type":"summary_text","text":"h"}]},{"type":"function_call","call_id":"k","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"k","output":"r"},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"a"}]}]"#,
    r#"{"request_id":"r","request_body":"{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]}","response_body":{"choices":[{"index":1,"message":{"role":"assistant","content":"b"}},{"index":0,"finish_reason":"length","message":{"role":"assistant","content":"a"}}]}}"#,
    r#"{"chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}]}"#,
    r#"{"message_tree_id":"t","prompt":{"role":"prompter","text":"q","replies":[{"role":"assistant","text":"a","rank":1,"replies":[]},{"role":"assistant","text":"b","rank":0,"replies":[]}]}}"#,
    r#"{"instruction":"i","input":"c","output":"a","system":"S","history":[["q","a"]],"Complex_CoT":"h","label":true}"#,
    r#"{"id":"1","conversation":[{"system":"S","human":"q","assistant":"a"}],"data":["q","a"]}"#,
    r#"{"chosen":"\n\nHuman: q\n\nAssistant: a","rejected":"\n\nHuman: q\n\nAssistant: b"}"#,
    r#"{"role":"user","content":"q","session_id":"s","turn":1,"created_at":"2025-01-02","title":"T"}"#,
    r#"{"messages":[{"type":"TextMessage","source":"user","content":"q"},{"type":"ToolCallRequestEvent","source":"a","content":[{"id":"k","name":"f","arguments":"{}"}]},{"type":"ToolCallExecutionEvent","source":"a","content":[{"call_id":"k","content":"r"}]},{"type":"ThoughtEvent","source":"a","content":"h"},{"type":"MultiModalMessage","source":"user","content":["q",{"data":"x"}]}]}"#,
    r#"{"id":1,"data":{"dialogue":[{"author":"user","text":"q"},{"author":"bot","text":"a"}]},"annotations":[{"id":2}]}"#,
    r#"{"cassette":"c","interactions":[{"request":{"method":"POST","uri":"u","body":{"messages":[{"role":"user","content":"q"}]}},"response":{"status":200,"body":"event: message_start\ndata: {\"type\":\"message_start\"}\n\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"text\":\"a\"}}\n\n"}},{"request":{"url":"u","body":{"input":"r","previous_response_id":"x"}},"response":{"body":[{"type":"response.output_item.done","item":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"b"}]}}]}}]}"#,
    r#"[{"custom_id":"r","body":{"messages":[{"role":"user","content":"q"}]}},{"custom_id":"r","response":{"body":{"choices":[{"message":{"content":"a"}}]}}}]"#,
    r#"{"request_body":{"contents":[{"parts":[{"text":"q"}]}]},"response_body":[{"candidates":[{"content":{"parts":[{"text":"a"},{"functionCall":{"name":"f"}}]},"finishReason":"STOP"}]}]}"#,
    r#"{"request_body":{"messages":[{"role":"user","content":"q"}]},"response_body":[{"contentBlockStart":{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"k","name":"f"}}}},{"contentBlockDelta":{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{}"},"reasoningContent":{"text":"h"}}}}]}"#,
    r#"{"rows":[{"row_idx":0,"row":{"instruction":"q","output":"a"}},{"row":{"role":"user","content":"q"}}],"total":2}"#,
    r#"{"retort_run":1,"request_id":"r","source":"recipe","source_id":"s","status":"running","nodes":[{"node":"a","kind":"tool","status":"success","parent":0}],"metadata":{"k":1}}"#,
    r#"[{"type":"summary","summary":"t","leafUuid":"b"},{"type":"user","uuid":"a","parentUuid":null,"sessionId":"s","cwd":"/w","isSidechain":false,"timestamp":"2025-01-02T03:04:05Z","message":{"role":"user","content":"q"}},{"type":"assistant","uuid":"b","parentUuid":"a","sessionId":"s","requestId":"r","message":{"id":"m","role":"assistant","model":"x","content":[{"type":"thinking","thinking":"h","signature":"z"}],"usage":{"input_tokens":1,"output_tokens":2}}},{"type":"assistant","uuid":"c","parentUuid":"b","sessionId":"s","requestId":"r","message":{"id":"m","role":"assistant","content":[{"type":"tool_use","id":"k","name":"Task","input":{"prompt":"p","subagent_type":"e"}}]}},{"type":"progress","uuid":"d","parentUuid":"c","sessionId":"s"},{"type":"user","uuid":"e","parentUuid":"d","sessionId":"s","toolUseResult":{"agentId":"g"},"message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"k","content":[{"type":"text","text":"r"}],"is_error":true},{"type":"text","text":"w"}]}},{"type":"user","uuid":"f","parentUuid":null,"isSidechain":true,"agentId":"g","sessionId":"s","message":{"role":"user","content":"p"}},{"type":"attachment","uuid":"h","parentUuid":"e","sessionId":"s","attachment":{"type":"queued_command","prompt":"x"}},{"type":"user","uuid":"i","parentUuid":"h","repeated":true,"isCompactSummary":true,"message":{"content":"y"}}]"#,
    r#"{"id":"c","title":"T","meta":{"tags":["a"]},"created_at":1700000000,"chat":{"models":["m"],"params":{"system":"S"},"messages":[{"id":"q","content":"q"}],"history":{"currentId":"a","messages":{"q":{"id":"q","parentId":null,"childrenIds":["a"],"role":"user","content":"q","files":[{"type":"image"}]},"a":{"id":"a","parentId":"q","childrenIds":[],"role":"assistant","content":"<details type=\"reasoning\" done=\"true\">\n<summary>x</summary>\n&gt; h\n</details>\n<details type=\"tool_calls\" id=\"k\" name=\"f\" arguments=\"&quot;{}&quot;\" result=\"1\">\n<summary>y</summary>\n</details>a","sources":[{"document":["d"]}],"annotation":{"rating":1},"usage":{"prompt_tokens":1},"done":true},"b":{"parentId":"q","role":"assistant","content":"b","output":[{"type":"reasoning","content":[{"type":"output_text","text":"h"}]},{"type":"function_call","call_id":"k","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"k","output":[{"type":"input_text","text":"r"}]},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"b"}]}]}}}}}"#,
    r#"{"conversationId":"c","endpoint":"openAI","title":"T","recursive":true,"options":{"model":"m","promptPrefix":"S"},"messages":[{"messageId":"q","parentMessageId":"00000000-0000-0000-0000-000000000000","isCreatedByUser":true,"text":"q","createdAt":"2024-05-01T10:00:00Z","children":[{"messageId":"a","parentMessageId":"q","isCreatedByUser":false,"text":"","content":[{"type":"think","think":"h"},{"type":"tool_call","tool_call":{"id":"k","name":"f","args":"{}","output":"r"}},{"type":"text","text":{"value":"a"}}],"feedback":{"rating":"thumbsUp"},"error":true}]}]}"#,
    r#"{"conversations":[{"conversation":{"conversation_id":"c","title":"T","create_time":"2025-06-21T19:28:21Z","starred":true},"responses":[{"response":{"response_id":"1","message":"q","sender":"human","file_attachments":["f"],"create_time":{"$date":{"$numberLong":"1700000000000"}}}},{"response":{"response_id":"2","parent_response_id":"1","message":"a","sender":"ASSISTANT","steps":[{"text":["h"]}],"web_search_results":[{"url":"u"}],"partial":true}}]}]}"#,
    r#"{"id":"p","runSettings":{"model":"m"},"systemInstruction":{"parts":[{"text":"S"}]},"chunkedPrompt":{"chunks":[{"id":"1","role":"user","text":"q","driveDocument":{"id":"d"}},{"id":"2","role":"model","text":"h","isThought":true,"parts":[{"text":"h","thought":true}]},{"role":"model","executableCode":{"code":"1"}},{"role":"model","codeExecutionResult":{"outcome":"OUTCOME_OK","output":"1"}},{"id":"3","role":"model","text":"a","branchParent":{"id":"1"},"errorMessage":"e","tokenCount":1}]}}"#,
    r#"{"id":"c","title":"T","inserted_at":"2025-04-29T11:59:11.635000+08:00","mapping":{"root":{"id":"root","parent":null,"children":["1"],"message":null},"1":{"id":"1","parent":"root","children":["2"],"message":{"files":[],"model":"m","inserted_at":"2025-04-29T11:59:11+08:00","fragments":[{"type":"REQUEST","content":"q"}]}},"2":{"id":"2","parent":"1","children":[],"message":{"fragments":[{"type":"THINK","content":"h"},{"type":"SEARCH","results":[{"url":"u"}]},{"type":"RESPONSE","content":"a"}]}}}}"#,
    r#"{"version":4,"folders":[],"history":[{"id":"a","name":"A","model":{"id":"m"},"prompt":"S","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}]}"#,
    r#"{"chat-next-web-store":{"sessions":[{"id":"a","topic":"T","lastUpdate":1700000000000,"messages":[{"role":"user","date":"x","content":"q"},{"role":"assistant","content":"a","model":"m","isError":true,"tools":[{"id":"k","type":"function","function":{"name":"f","arguments":"{}"},"content":"r"}]}],"mask":{"context":[{"role":"system","content":"S"}],"modelConfig":{"model":"m"}}}]}}"#,
    r#"{"chat-sessions-list":[],"session:s":{"id":"s","name":"N","messages":[{"id":"1","role":"user","contentParts":[{"type":"text","text":"q"},{"type":"image","storageKey":"k"}]},{"id":"2","role":"assistant","model":"m","usage":{"inputTokens":1},"contentParts":[{"type":"reasoning","text":"h"},{"type":"tool-call","state":"result","toolCallId":"k","toolName":"f","args":{},"result":1}]}],"threads":[{"id":"t","messages":[{"role":"user","content":"o"}]}],"messageForksHash":{"1":{"lists":[{"id":"l","messages":[{"id":"3","role":"assistant","content":"b"}]}]}}}}"#,
    r#"{"data":{"chats":[{"chatID":"c","chatTitle":"T","model":"m","chatParams":{"systemMessage":"S"},"messages":[{"uuid":"1","role":"user","content":[{"type":"text","text":"q"}],"createdAt":"2024-01-02T03:04:05Z"}]}]}}"#,
    r#"{"name":"T","createdAt":1700000000000,"systemPrompt":"S","messages":[{"versions":[{"type":"singleStep","role":"user","content":[{"type":"text","text":"q"}]}],"currentlySelected":0},{"versions":[{"type":"multiStep","role":"assistant","steps":[{"type":"contentBlock","style":{"type":"thinking"},"content":[{"type":"text","text":"h"}]},{"type":"contentBlock","content":[{"type":"toolCallRequest","toolCallRequestId":"k","name":"f","parameters":{}},{"type":"toolCallResult","toolCallRequestId":"k","content":"r"},{"type":"text","text":"a"}]}]}],"currentlySelected":0}]}"#,
    r#"{"state":{"messages":[{"id":"1","role":"user","content":"q","sessionId":"s","topicId":"t","createdAt":1700000000000},{"id":"2","role":"assistant","content":"","sessionId":"s","topicId":"t","tools":[{"id":"k","apiName":"f","arguments":"{}"}],"reasoning":{"content":"h"}},{"id":"3","role":"tool","content":"r","sessionId":"s","topicId":"t","plugin":{"apiName":"f"},"tool_call_id":"k"}],"topics":[{"id":"t","title":"T"}],"sessions":[{"id":"s","config":{"systemRole":"S"}}]},"version":7}"#,
    r#"[{"user_name":"U","character_name":"C","create_date":"2024-01-02T03:04:05Z","chat_metadata":{}},{"name":"U","is_user":true,"mes":"q","send_date":"January 2, 2024 3:04pm"},{"name":"C","is_user":false,"mes":"a","swipe_id":0,"swipes":["a","b"],"extra":{"reasoning":"h"}}]"#,
    r#"{"limit":20,"has_more":false,"data":[{"id":"1","conversation_id":"c","inputs":{},"query":"q","answer":"a","feedback":{"rating":"like"},"retriever_resources":[{"content":"t"}],"created_at":1705569239,"agent_thoughts":[{"id":"k","thought":"h","tool":"f","tool_input":"{}","observation":"r"}]}]}"#,
    r#"{"header":"Gemini Apps","title":"Prompted q","time":"2025-01-02T03:04:05Z","products":["Gemini Apps"],"safeHtmlItem":[{"html":"<p>a</p>"}],"imageFile":"x"}"#,
    r#"[{"timestamp":"2026-05-13T06:03:05Z","type":"session_meta","payload":{"id":"s","timestamp":"2026-05-13T06:03:05Z","forked_from_id":"o","base_instructions":{"text":"S"},"dynamic_tools":[{"name":"f"}]}},{"type":"turn_context","payload":{"model":"m"}},{"timestamp":"2026-05-13T06:03:04Z","type":"response_item","payload":{"type":"message","role":"user","content":[{"type":"input_text","text":"q"}]}},{"type":"response_item","payload":{"type":"reasoning","summary":[{"type":"summary_text","text":"h"}],"encrypted_content":"e"}},{"type":"response_item","payload":{"type":"function_call","call_id":"k","name":"f","arguments":"{}"}},{"type":"response_item","payload":{"type":"function_call_output","call_id":"k","output":"r"}},{"type":"event_msg","payload":{"type":"token_count","info":{"total_token_usage":{"input_tokens":1}}}},{"type":"compacted","payload":{"message":"c"}}]"#,
    r#"[{"id":"s","timestamp":"2025-05-07T17:24:21Z","instructions":"S"},{"record_type":"state"},{"type":"message","role":"user","content":[{"type":"input_text","text":"q"}]}]"#,
    r#"[{"type":"session","version":3,"id":"s","timestamp":"2026-01-02T00:00:05Z","cwd":"/w","parentSession":"o"},{"type":"message","id":"a","parentId":null,"timestamp":"2026-01-02T00:00:01Z","message":{"role":"user","content":"q"}},{"type":"message","id":"b","parentId":"a","message":{"role":"assistant","model":"m","content":[{"type":"thinking","thinking":"h"},{"type":"toolCall","id":"k","name":"f","arguments":{}}],"usage":{"input":1,"output":2},"stopReason":"toolUse","errorMessage":"e"}},{"type":"message","id":"c","parentId":"b","message":{"role":"toolResult","toolCallId":"k","toolName":"f","content":[{"type":"text","text":"r"}],"isError":true}},{"type":"message","id":"a","parentId":"a","message":{"role":"bashExecution","command":"ls","output":""}},{"type":"compaction","id":"d","parentId":"zz","summary":"c"},{"type":"model_change","modelId":"n"}]"#,
    r#"[{"type":"session","harness":"h","id":"s"},{"type":"message","message":{"role":"assistant","content":"a","reasoningContent":"h","toolCalls":[{"id":"k","function":{"name":"f","arguments":"{}"}}]}},{"type":"message","message":{"role":"tool","toolCallId":"k","content":"r"}}]"#,
    r#"[{"type":"session_start","id":"s","title":"t"},{"type":"message","id":"a","message":{"role":"user","content":[{"type":"text","text":"q"}]}},{"type":"message","id":"b","parentId":"a","message":{"role":"assistant","content":[{"type":"tool_use","id":"k","name":"f","input":{}}]}},{"type":"todo_state"},{"type":"compaction_state","summaryText":"c"}]"#,
    r#"{"sessionId":"s","projectHash":"p","startTime":"2026-01-02T00:00:00Z","messages":[{"id":"1","type":"user","content":[{"text":"q"}]},{"id":"2","type":"gemini","content":"a","model":"m","thoughts":[{"subject":"s","description":"d"}],"tokens":{"input":1},"toolCalls":[{"id":"k","name":"f","args":{},"status":"error","result":[{"functionResponse":{"response":{"output":"r"}}}]}]},{"type":"info","content":"i"}]}"#,
    r#"{"id":"g","name":"n","working_dir":"/w","extension_data":{},"message_count":2,"conversation":[{"role":"user","created":1,"content":[{"type":"text","text":"q"}]},{"role":"assistant","created":2,"content":[{"type":"thinking","thinking":"h"},{"type":"toolRequest","id":"k","toolCall":{"status":"success","value":{"name":"f","arguments":{}}}}]},{"role":"user","created":3,"content":[{"type":"toolResponse","id":"k","toolResult":{"status":"success","value":{"content":[{"type":"text","text":"r"}],"isError":true}}}]}]}"#,
    r#"[[{"id":"s","projectID":"p","version":"1","title":"t","time":{"created":1767323045000}}],[{"id":"m","sessionID":"s","role":"assistant","time":{"created":1767323045000},"modelID":"x","tokens":{"input":1},"error":{"name":"e","data":{"message":"m"}}},{"id":"p","messageID":"m","type":"tool","callID":"k","tool":"f","state":{"status":"completed","input":{},"output":"r","attachments":[{"mime":"image/png","url":"u"}]}},{"id":"q","message_id":"m","session_id":"s","time_created":1,"data":"{\"type\":\"text\",\"text\":\"a\"}"}]]"#,
    r#"{"info":{"id":"s","version":"1","title":"t","time":{"created":1767323045000}},"messages":[{"info":{"id":"m","sessionID":"s","role":"user","time":{"created":1}},"parts":[{"id":"p","messageID":"m","type":"text","text":"q"},{"id":"q","messageID":"m","type":"file","mime":"image/png","url":"u"},{"id":"r","messageID":"m","type":"reasoning","text":"h"}]}]}"#,
    r#"{"key":"composerData:c","value":"{\"composerId\":\"c\",\"conversation\":[{\"type\":1,\"bubbleId\":\"a\",\"text\":\"q\"},{\"type\":2,\"bubbleId\":\"b\",\"toolFormerData\":{\"name\":\"f\",\"toolCallId\":\"k\",\"rawArgs\":\"{}\",\"result\":\"r\",\"status\":\"error\"},\"thinking\":{\"text\":\"h\"}}]}"}"#,
    r#"{"aider_chat_started_at":"2024-08-05 19:33:02","markdown":"> Main model: m with diff\n\n#### q  \n\na\n\n#### /clear  \n\n#### r  \n"}"#,
    r#"{"v":1,"id":"T-1","created":1,"title":"t","messages":[{"role":"user","messageId":0,"content":[{"type":"text","text":"q"}],"meta":{"sentAt":1}},{"role":"assistant","messageId":1,"content":[{"type":"tool_use","id":"k","name":"f","input":{}}],"usage":{"model":"m","inputTokens":1},"state":{"stopReason":"tool_use"}},{"role":"user","messageId":2,"content":[{"type":"tool_result","toolUseID":"k","run":{"status":"done","result":{"a":1}}}]}]}"#,
    r#"{"sessionId":"s","title":"t","workspaceDirectory":"/w","history":[{"message":{"role":"user","content":"q"},"contextItems":[]},{"message":{"role":"thinking","content":"h"}},{"message":{"role":"assistant","content":"","toolCalls":[{"id":"k","type":"function","function":{"name":"f","arguments":"{}"}}]},"toolCallStates":[{"toolCallId":"k","status":"errored","output":[{"content":"r"}]}]}]}"#,
    r#"{"id":"s","app_name":"a","user_id":"u","state":{},"last_update_time":1.5,"events":[{"author":"user","invocation_id":"i","timestamp":1.5,"content":{"role":"user","parts":[{"text":"q"}]}},{"author":"b","invocation_id":"i","content":{"role":"model","parts":[{"function_call":{"id":"k","name":"f","args":{}},"text":null}]},"usage_metadata":{"prompt_token_count":1}},{"author":"b","invocation_id":"i","errorMessage":"e"}]}"#,
    r#"{"eval_set_id":"e","eval_cases":[{"eval_id":"c","conversation":[{"user_content":{"role":"user","parts":[{"text":"q"}]},"intermediate_data":{"tool_uses":[{"id":null,"name":"f","args":{}}],"intermediate_responses":[]},"final_response":{"role":"model","parts":[{"text":"a"}]}}]}]}"#,
    r#"{"version":3,"responderUsername":"c","sessionId":"s","requests":[{"message":{"text":"q"},"timestamp":1,"modelId":"m","vote":0,"response":[{"value":"a"},{"kind":"thinking","value":"h"},{"kind":"inlineReference","inlineReference":{"fsPath":"/a/b"}}],"result":{"errorDetails":{"message":"e"}}},{"message":{"text":"r"},"response":[],"result":{"metadata":{"toolCallRounds":[{"response":"a","thinking":{"text":["h"]},"toolCalls":[{"id":"k","name":"f","arguments":"{}"}]}],"toolCallResults":{"k":{"content":[{"value":{"node":{"children":[{"text":"r","lineBreakBefore":true}]}}}]}}}}}]}"#,
    r#"[{"kind":0,"v":{"version":3,"requests":[]}},{"kind":2,"k":["requests"],"v":[{"message":{"text":"q"},"response":[]}]},{"kind":1,"k":["requests",0,"response"],"v":[{"value":"a"}]},{"kind":2,"k":["requests",0,"response"],"i":0,"v":[{"value":"b"}]},{"kind":3,"k":["version"]}]"#,
    r#"{"$schemaVersion":"1.17","original_input":[{"role":"user","content":"q"}],"generated_items":[{"type":"tool_call_item","raw_item":{"type":"function_call","call_id":"k","name":"f","arguments":"{}"}},{"type":"tool_approval_item","raw_item":{}}],"conversation_id":null}"#,
    r#"[{"type":"cursor_session_meta","session_id":"s","model":"m"},{"type":"cursor_available_tools","tools":[{"name":"f"}]},{"role":"user","message":{"content":[{"type":"text","text":"q"}]}},{"role":"assistant","message":{"content":[{"type":"tool_use","name":"f","input":{}}]}},{"type":"turn_ended"}]"#,
    r#"{"schema_version":"ATIF-v1.8","session_id":"s","trajectory_id":"t","agent":{"name":"n","model_name":"m","tool_definitions":[{"name":"f"}]},"steps":[{"step_id":1,"source":"user","message":[{"type":"text","text":"q"},{"type":"image","source":{"path":"p"}}],"is_copied_context":true},{"step_id":2,"source":"agent","message":"a","reasoning_content":"h","tool_calls":[{"tool_call_id":"k","function_name":"f","arguments":{}}],"observation":{"results":[{"content":"r","subagent_trajectory_ref":[{"trajectory_id":"c"}],"extra":{"is_error":true}}]},"metrics":{"prompt_tokens":1},"llm_call_count":0}],"subagent_trajectories":[{"trajectory_id":"c","steps":[{"source":"zz","message":"x"}]}]}"#,
    r#"{"parent":{"schema_version":"ATIF-v1.6","steps":[]},"child":{"steps":[]},"other":1}"#,
    r#"{"version":2,"eval":{"task":"t","run_id":"r","model":"m"},"samples":[{"id":1,"epoch":1,"input":"q","target":"4","messages":[{"role":"user","content":"attachment://x"},{"role":"assistant","content":"a","tool_calls":[{"id":"k","function":"f","arguments":{}}]},{"role":"tool","content":"r","tool_call_id":"k","function":"f","error":{"message":"e"}}],"output":{"model":"m","choices":[{"stop_reason":"stop"}]},"attachments":{"x":"y"},"events":[{"event":"model","tools":[{"name":"f"}]}],"model_usage":{"m":{"input_tokens":1}}}]}"#,
    r#"{"responses_create_params":{"instructions":"S","input":[{"role":"user","content":"q"}],"tools":[{"name":"f"}]},"response":{"model":"m","output":[{"type":"function_call","call_id":"k","name":"f","arguments":"{}"},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"a"}]}],"usage":{"input_tokens":1}},"reward":1.0}"#,
    r#"{"trajectory":[{"action":"a","observation":"o"}],"info":{},"history":[{"role":"user","content":"q","is_demo":true,"message_type":"demonstration"},{"role":"assistant","content":"a","thought":"a","action":"b","tool_calls":[{"id":"k","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"r","tool_call_ids":["k"]}]}"#,
    r#"[{"source":"user","timestamp":"2025-02-01T00:14:10","action":"message","args":{"content":"q"}},{"source":"agent","action":"run","args":{"command":"ls","thought":"h"},"tool_call_metadata":{"tool_call_id":"k","function_name":"f","model_response":{"id":"r","model":"m","choices":[{"finish_reason":"stop","message":{"role":"assistant","content":"a","tool_calls":[{"id":"k","function":{"name":"f","arguments":"{}"}}]}}]}}},{"source":"agent","observation":"run","content":"r","tool_call_metadata":{"tool_call_id":"k"}}]"#,
    r#"{"instruction":"i","history":[{"action":"message","content":"q"},{"action":"run","command":"ls","thought":"h"},{"observation":"error","content":"r"}]}"#,
    r#"{"tree":{},"answer_generation":{"query":"q","function":[{"name":"f"}],"train_messages":[[{"role":"user","content":"q"}],[{"role":"user","content":"q"},{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}}]]}}"#,
    r#"{"state":{"history":[{"role":"user","content":"q"}],"token_counter":{"prompt_tokens":1}},"task":{}}"#,
    r#"{"id":"x","content":[{"class_":"text_observation","content":"q","source":"user"},{"class_":"code_action","language":"bash","content":"ls","description":"h"},{"class_":"web_observation","axtree":"t","image_observation":{"content":"p"}},{"class_":"message_action","content":"a","description":"d"},{"class_":"zz"}]}"#,
    r#"[{"type":"session.start","data":{"sessionId":"s"}},{"type":"user.message","data":{"content":"q"}},{"type":"assistant.message","data":{"content":"a","reasoningText":"h","toolRequests":[{"toolCallId":"k","name":"f","arguments":"{}"}]}},{"type":"tool.execution_start","data":{"toolCallId":"l","toolName":"f","arguments":{}}},{"type":"tool.execution_complete","data":{"toolCallId":"k","success":false,"result":{"result_type":"failure","textResultForLlm":"r"},"error":"e"}}]"#,
    r#"{"prompt":"\n\nHuman: q\n\nAssistant: ","answers":[{"answer":"a","model":"m","rank":1.0},{"answer":"b","rank":2}],"turns":1}"#,
    r#"{"instruction":"q","completions":[{"response":"a","overall_score":"4.5","critique":"c","annotations":{"x":[{"Rating":"1"}]},"model":"m"},{"response":"b","overall_score":2}]}"#,
    r#"{"conversation_id":1,"meta_instruction":"S","num_turns":1,"chat":{"turn_1":{"Human":"<|Human|>: q<eoh>\n","Inner Thoughts":"<|Inner Thoughts|>: h<eot>\n","Commands":"<|Commands|>: f(\"x\"), g(\"y\")<eoc>\n","Tool Responses":"<|Results|>: f(\"x\") =>\n1 g(\"y\") =>\n2<eor>\n","MOSS":"<|MOSS|>: a<eom>\n"}}}"#,
    r#"{"history":"q","human_ref_A":"a","human_ref_B":"b","labels":0}"#,
    r#"{"prompt":"[\"q\"]","response_a":"[\"a\"]","response_b":"[\"b\"]","winner_model_a":1,"winner_model_b":0}"#,
    r#"{"Items":[{"id":{"S":"x"},"messages":{"L":[{"M":{"role":{"S":"user"},"content":{"S":"q"},"n":{"N":"1"},"b":{"BOOL":true},"z":{"NULL":true}}}]}}],"Count":1}"#,
    r#"{"documents":[{"name":"projects/p/databases/d/documents/c/x","fields":{"messages":{"arrayValue":{"values":[{"mapValue":{"fields":{"role":{"stringValue":"user"},"content":{"stringValue":"q"},"at":{"timestampValue":"2024-01-02T03:04:05Z"}}}}]}}}}]}"#,
    r#"{"request":{"message":"q","preamble":"S","chat_history":[{"role":"USER","message":"o"},{"role":"CHATBOT","message":"p"}]},"response":{"text":"a","generation_id":"g","finish_reason":"MAX_TOKENS"}}"#,
    r#"{"id":0,"query":"q","tools":"[{\"name\":\"f\"}]","answers":"[{\"name\":\"f\",\"arguments\":{}}]"}"#,
    r#"{"system":"SYSTEM: s -\n{\"name\":\"f\"}","chat":"USER: q\n\n\nASSISTANT: a <functioncall> {\"name\": \"f\", \"arguments\": '{\"a\": 1}'} <|endoftext|>\n\n\nFUNCTION RESPONSE: {}\n"}"#,
    r#"{"id":"x","question":[[{"role":"user","content":"q"}]],"function":[{"name":"f"}],"ground_truth":[{"f":{}}]}"#,
    r#"{"object":"list","data":[{"object":"thread.run.step","thread_id":"t","created_at":2,"step_details":{"tool_calls":[{"id":"c","type":"code_interpreter","code_interpreter":{"input":"1","outputs":[{"type":"logs","logs":"1"}]}}]}},{"object":"thread.message","thread_id":"t","created_at":1,"role":"user","content":[{"type":"text","text":{"value":"q","annotations":[]}}]},{"object":"thread.run","thread_id":"t","model":"m","instructions":"S","tools":[{"type":"file_search"}]},{"object":"thread","id":"t","title":"T","assistants":[{"model":{"id":"m"}}]}]}"#,
    r#"[{"kind":"request","instructions":"S","parts":[{"part_kind":"user-prompt","content":["q",{"kind":"image-url","url":"u"}]},{"part_kind":"retry-prompt","tool_name":"f","content":"r"}]},{"kind":"response","model_name":"m","usage":{"input_tokens":1},"parts":[{"part_kind":"thinking","content":"h"},{"part_kind":"tool-call","tool_name":"f","args":"{}","tool_call_id":"k"},{"part_kind":"builtin-tool-return","tool_name":"g","content":{}},{"part_kind":"text","content":"a"}]}]"#,
    r#"{"values":{"messages":[{"type":"human","content":"q"}],"x":1},"next":[],"config":{"configurable":{"thread_id":"t"}},"created_at":"2024-08-29T19:19:38Z"}"#,
    r#"{"evalId":"e","results":{"timestamp":"2025-01-01T00:00:00Z","results":[{"prompt":{"raw":"[{\"role\":\"user\",\"content\":\"q\"}]"},"provider":{"id":"m"},"vars":{},"response":{"output":"a","tokenUsage":{"prompt":1}},"gradingResult":{"pass":true,"score":1,"reason":"r"},"promptIdx":0}]}}"#,
    r#"{"messages":[{"role":"user","content":[{"type":"text","text":"q"},{"type":"image","data":"x","mimeType":"image/png"},{"type":"resource_link","uri":"u","name":"n"}],"is_template":true},{"role":"assistant","content":[],"is_template":false,"stop_reason":"toolUse","tool_calls":{"k":{"method":"tools/call","params":{"name":"f","arguments":{}}}},"channels":{"reasoning":[{"type":"text","text":"h"}],"anthropic-assistant-raw-content":[{"type":"text","text":"{\"type\":\"text\",\"text\":\"a\"}"}],"fast-agent-usage":[{"type":"text","text":"{\"turn\":{\"model\":\"m\",\"input_tokens\":1}}"}],"fast-agent-error":[{"type":"text","text":"e"}]}},{"role":"user","content":[],"is_template":false,"tool_results":{"k":{"content":[{"type":"resource","resource":{"text":"r"}}],"isError":true,"structuredContent":{},"_meta":{}}}}]}"#,
    r#"{"id":"x","result":[[[{"f":"{}"}],"a"]],"input_token_count":[[1]],"model":"m","inference_log":[[{"role":"state_info","content":{}}],{"begin_of_turn_query":[{"role":"user","content":"q"}],"step_0":[{"role":"inference_input","content":""},{"role":"assistant","content":[{"f":"{}"}],"reasoning_content":"h"},{"role":"tool","content":"r"}],"step_1":[{"role":"assistant","content":"a"},{"role":"handler_log","content":"e"}]}]}"#,
    r#"{"version":1,"id":"t","verifiers":{"version":"1"},"task":{"type":"T","data":{"prompt":"q"}},"agent":{"name":"a","trainable":true},"tools":[{"name":"f","description":"d","parameters":{}}],"nodes":[{"parent":null,"message":{"role":"user","content":"q"},"sampled":false,"timestamp":1.5,"token_ids":[1]},{"parent":0,"message":{"role":"assistant","content":null,"reasoning_content":"h","tool_calls":[{"id":"k","name":"f","arguments":"{}"}]},"sampled":true},{"parent":1,"message":{"role":"tool","tool_call_id":"k","content":"r"}},{"parent":0,"message":{"role":"assistant","content":"b"},"sampled":false}],"calls":[{"node":1,"model":"m","finish_reason":"length","usage":{"prompt_tokens":1,"completion_tokens":2}}],"rewards":{"r":{"score":1.0,"weight":1.0}},"errors":[]}"#,
    r#"{"info":{"agent_info":{"llm":"m"},"environment_info":{"policy":"S"}},"tasks":[{"id":"0"}],"simulations":[{"id":"s","task_id":"0","start_time":"2025-06-01T10:00:00","messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"k","name":"f","arguments":{},"requestor":"assistant"}],"usage":{"prompt_tokens":1}},{"role":"tool","tool_messages":[{"id":"k","role":"tool","content":"r","error":true}]},{"role":"user","tool_calls":[{"id":"u","name":"g","arguments":{},"requestor":"user"}]}]}]}"#,
    r#"{"version":"1.2","type":"query","query":[{"role":"system","content":"S","content_type":"text/markdown","timestamp":0,"message_id":""},{"role":"user","content":"q","timestamp":1678299819427621,"message_id":"m-1","attachments":[{"url":"u","content_type":"image/png","name":"n"},{"url":"u","content_type":"text/plain","name":"n","parsed_content":"p"}]},{"role":"bot","content":"a","feedback":[{"type":"like","reason":"r"}]}],"user_id":"u-1","conversation_id":"c-1","message_id":"m-2","access_key":"k","temperature":0.7,"metadata":""}"#,
    r#"{"chatId":"c","obj":"AI","time":{"$date":"2024-05-01T00:00:00Z"},"userGoodFeedback":"yes","responseData":[{"model":"m"}],"value":[{"type":"reasoning","reasoning":{"content":"h"}},{"type":"tool","tools":[{"id":"k","functionName":"f","params":"{}","response":"r"}]},{"text":{"content":"a"}},{"file":{"type":"image","url":"u"}}]}"#,
    r#"[{"type":"user_input","status":"done","user_input":{"user_response":"q"}},{"type":"planner_response","status":"done","planner_response":{"response":"a"}},{"type":"run_command","status":"error","run_command":{"command":"ls","output":"x"}}]"#,
];

/// Pieces that break parsers.
const SPLICES: [&[u8]; 24] = [
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"\\udc00\\ud800",
    b"\\u00",
    b"\\u+123",
    b"\\x",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"1e999",
    b"-0",
    b"01",
    b"\xef\xbb\xbf",
    b"\n",
    b",\"id\":[1],\"messages\":{},\"rounds\":7,\"tools\":null,\"created_at\":-99999999999",
];

/// After this long, a reader hangs: what ends takes a tenth of it on a busy machine.
const HANGS: Duration = Duration::from_secs(900);

/// Fails in words instead of hanging for ever.
fn ends(what: &str, act: impl FnOnce() + Send + 'static) {
    let (done, waiting) = channel();
    let thread = std::thread::spawn(move || {
        act();
        let _ = done.send(());
    });
    match waiting.recv_timeout(HANGS) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
            panic!("{what} did not end within {HANGS:?}")
        }
        _ => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
    }
}

fn assert_points_into(item: &str, error: &ItemError) {
    assert!(error.at <= item.len(), "byte {} of {}: {error}", error.at, item.len());
    assert!(!error.message.is_empty());
}

/// Reads an item with every reader, and shapes what comes of it into every data format.
fn read_all(item: &str) {
    let sniff = Sniff::of(item);
    let _ = (recognise(&sniff), sniff.words(), sniff.check());
    for format in FORMATS {
        format.fragments(item, Entry { path: "stem.json" }, &mut Vec::new());
        let items = match format.read_all(item, &mut Notes::default()) {
            Err(error) => {
                assert_points_into(item, &error);
                continue;
            }
            Ok(items) => items,
        };
        for read in items {
            if let Item::Conversation(conversation) = &read {
                conversation.active_path();
            }
            for data_format in data::FORMATS {
                let options = ShapeOptions { tasks: true, ..ShapeOptions::default() };
                let mut rows = file::FORMATS[0]
                    .rows(&data_format.schema(&options, false), FileOptions::default());
                let mut context = ShapeContext {
                    options: &options,
                    flat: false,
                    output: None,
                    given: None,
                    tools: &mut ToolCache::default(),
                };
                data_format.shape(&read, &mut context, &mut *rows);
                for index in 0..rows.count() {
                    let row = std::str::from_utf8(rows.row(index).unwrap()).unwrap();
                    assert!(
                        is_json(row.trim_end()),
                        "{} wrote {row} of {item}",
                        data_format.name()
                    );
                    assert_eq!(row.matches('\n').count(), 1, "one line: {row}");
                }
            }
        }
    }
}

fn conversation<'a>(
    format: &dyn ImportFormat,
    item: &'a str,
    notes: &mut Notes,
) -> Conversation<'a> {
    format.read(item, notes).unwrap().into_conversation().unwrap()
}

/// Cuts a stream and reads the items.
fn split_and_read(bytes: &[u8]) {
    let mut splitter = Splitter::new(Cursor::new(bytes));
    let mut items = 0;
    while let Some(batch) = splitter.next(Batch::default()).unwrap() {
        for span in &batch.items {
            items += 1;
            assert!(
                items <= bytes.len(),
                "more items than bytes in {:?}",
                String::from_utf8_lossy(bytes)
            );
            let item = batch.item(span);
            assert!(bytes[usize::try_from(span.byte).unwrap()..].starts_with(item));
            if let Ok(text) = std::str::from_utf8(item) {
                read_all(text);
            }
        }
    }
}

/// As serde_json has it, which keeps to RFC 8259; its `IgnoredAny` allows lone surrogates as Retort does.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn skip(text: &str) -> Result<(), retort_json::JsonError> {
    let mut parser = Parser::new(text);
    parser.skip()?;
    parser.end()
}

/// The depth of brackets outside of strings, at most.
fn depth(text: &str) -> usize {
    let (mut depth, mut most, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

fn mutated(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let mut bytes = u.choose(SEEDS)?.as_bytes().to_vec();
    for _ in 0..u.int_in_range(1..=4)? {
        let at = u.int_in_range(0..=bytes.len())?;
        match u.int_in_range(0..=6)? {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << u.int_in_range(0..=7)?,
            2 => drop(bytes.splice(at..at, u.choose(&SPLICES)?.iter().copied())),
            3 => {
                let end = u.int_in_range(at..=bytes.len())?;
                bytes.drain(at..end);
            }
            4 => {
                // A piece of another seed, which often makes a key stand twice.
                let other = u.choose(SEEDS)?.as_bytes();
                let start = u.int_in_range(0..=other.len())?;
                let end = u.int_in_range(start..=other.len())?;
                bytes.splice(at..at, other[start..end].iter().copied());
            }
            5 => {
                let (open, close) = *u.choose(&[("[", "]"), ("{\"a\":", "}")])?;
                let levels = *u.choose(&[3, 500, 600])?;
                bytes = format!(
                    "{}{}{}",
                    open.repeat(levels),
                    String::from_utf8_lossy(&bytes),
                    close.repeat(levels)
                )
                .into_bytes();
            }
            _ => {
                let again = bytes.clone();
                bytes.extend_from_slice(u.choose(&[&b"\n"[..], b",", b" ", b"]", b""])?);
                bytes.extend(again);
            }
        }
    }
    Ok(bytes)
}

#[test]
fn every_seed_is_read_by_the_format_that_knows_it() {
    for seed in SEEDS {
        read_all(seed);
        if let Some(format) = recognise(&Sniff::of(seed)) {
            let items = format
                .read_all(seed, &mut Notes::default())
                .unwrap_or_else(|error| panic!("{}: {error}: {seed}", format.name()));
            assert!(items.into_iter().next().is_some(), "{}: {seed}", format.name());
        } else {
            assert!(
                seed.starts_with("[{\"_id\"") || seed.starts_with("[["),
                "joined halves alone are for one reader: {seed}"
            );
        }
    }
}

#[test]
fn no_reader_panics_or_hangs_on_any_bytes() {
    ends("random bytes", || {
        arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            split_and_read(&bytes);
            Ok(())
        })
        .budget_ms(1500);
    });
}

#[test]
fn no_reader_panics_or_hangs_on_damaged_histories() {
    ends("damaged histories", || {
        arbtest(|u| {
            let bytes = mutated(u)?;
            split_and_read(&bytes);
            if let Ok(text) = std::str::from_utf8(&bytes) {
                read_all(text);
            }
            Ok(())
        })
        .budget_ms(6000);
    });
}

#[test]
fn brackets_that_close_nothing_end_no_import() {
    for bytes in [
        "[]]", "[{}]]", "]", "}", "{\n}\n]", "[]}", "[1]],[2]", "[,]", ",", "[{}", "[}", "[[]",
        "{]",
    ] {
        ends(bytes, move || split_and_read(bytes.as_bytes()));
    }
}

#[test]
fn what_nests_too_deep_is_refused_at_its_place() {
    ends("deep nesting", || {
        for (open, close) in
            [("[", "]"), ("{\"a\":", "}"), ("{\"messages\":[", "]}"), ("[{\"role\":", "}]")]
        {
            let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
            let error = skip(&deep).unwrap_err();
            assert!(error.to_string().contains("nested deeper than 512"), "{error}");
            split_and_read(deep.as_bytes());
            split_and_read(open.repeat(100_000).as_bytes());
            read_all(&deep);
        }
        let inner = format!("{}{}", "[".repeat(511), "]".repeat(511));
        assert!(skip(&format!("[{inner}]")).is_ok());
        assert!(skip(&format!("[[{inner}]]")).is_err());
    });
}

#[test]
fn giant_strings_are_read_whole() {
    ends("giant strings", || {
        for piece in ["x", "\\n", "\\u00e4", "\\ud800", "ä", "💡"] {
            let body = piece.repeat(150_000);
            let item = format!(
                r#"[{{"id":"x","messages":[{{"role":"user","content":"{body}"}},{{"role":"assistant","content":"a"}}]}}]"#
            );
            split_and_read(item.as_bytes());
        }
    });
}

#[test]
fn of_keys_that_stand_twice_the_last_counts_and_both_are_told() {
    let mut notes = Notes::default();
    let item =
        r#"{"id":"x","title":"old","title":"new","messages":[{"role":"user","content":"q"}]}"#;
    let format = recognise(&Sniff::of(item)).unwrap();
    assert_eq!(conversation(format, item, &mut notes).title.unwrap().decoded(), "new");
    assert_eq!(notes.duplicate_keys, 1);
}

#[test]
fn lone_surrogates_are_replaced_and_counted() {
    let mut notes = Notes::default();
    let item = r#"[{"role":"user","content":"a\ud800b\udc00\ud83d\ude00"}]"#;
    let conversation = conversation(recognise(&Sniff::of(item)).unwrap(), item, &mut notes);
    assert_eq!(
        conversation.rounds[0].messages[0].content.as_ref().unwrap().text().decoded(),
        "a\u{fffd}b\u{fffd}😀"
    );
    assert_eq!(notes.lone_surrogates, 2);
}

#[test]
fn the_parser_accepts_and_refuses_as_serde_json_does() {
    let check = |text: &str| {
        if depth(text) < 500 {
            assert_eq!(skip(text).is_ok(), is_json(text), "{text:?}: {:?}", skip(text));
        }
        if let Err(error) = skip(text) {
            assert!(error.at <= text.len());
        }
        assert_eq!(RawJson::parse(text).is_ok(), skip(text).is_ok(), "{text:?}");
        assert_eq!(Value::parse(text).is_ok(), skip(text).is_ok(), "{text:?}");
    };
    arbtest(|u| {
        check(&String::from_utf8_lossy(&mutated(u)?));
        Ok(())
    })
    .budget_ms(2500);
    // Short texts of JSON's own characters reach what mutations of long ones do not.
    arbtest(|u| {
        let letters = [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "a", "u", "0", "1", "9", ".", "e", "E", "+",
            "-", " ", "\t", "\n", "\u{c}", "\u{0}", "true", "null", "\\ud800", "é",
        ];
        let text: String = (0..u.int_in_range(0..=12)?)
            .map(|_| u.choose(&letters).copied())
            .collect::<arbitrary::Result<_>>()?;
        check(&text);
        Ok(())
    })
    .budget_ms(2500);
}

#[test]
fn what_is_written_as_a_string_is_read_as_that_string() {
    arbtest(|u| {
        let text: String = u.arbitrary()?;
        let mut written = Vec::new();
        write_string(&text, &mut written);
        let written = String::from_utf8(written).unwrap();
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        let mut parser = Parser::new(&written);
        assert_eq!(parser.string().unwrap().decoded(), text);
        parser.end().unwrap();
        let mut undone = String::new();
        unescape_into(&written[1..written.len() - 1], &mut undone);
        assert_eq!(undone, text);
        assert_eq!(RawJson::string(&text).as_text().unwrap(), text);
        Ok(())
    })
    .budget_ms(1500);
}

#[test]
fn a_raw_value_stays_the_same_value_when_it_is_made_compact() {
    arbtest(|u| {
        let mut text = String::from_utf8_lossy(&mutated(u)?).into_owned();
        if u.arbitrary()? {
            text = text.replace(',', " ,\n\t").replace(':', "\r\n: ");
        }
        let Ok(raw) = RawJson::parse(&text) else { return Ok(()) };
        assert!(!raw.as_str().contains(['\n', '\r']), "on one line: {raw}");
        let compact = raw.compact();
        assert_eq!(RawJson::parse(&compact).unwrap().compact(), compact, "compact already");
        // serde_json refuses lone surrogates, which are replaced on the way, and numbers past a double.
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
            assert_eq!(serde_json::from_str::<serde_json::Value>(raw.as_str()).unwrap(), value);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&compact).unwrap(), value);
        }
        assert_eq!(Value::parse(&compact).unwrap(), Value::parse(raw.as_str()).unwrap());
        Ok(())
    })
    .budget_ms(2500);
}

#[test]
fn the_json_test_suite_is_read_as_it_says() {
    let Some(folder) = real_data() else { return };
    let mut files = 0;
    for path in files_below(&folder.join("jsontestsuite")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".json")
            || !name.starts_with(['y', 'n', 'i'])
            || name.as_bytes().get(1) != Some(&b'_')
        {
            continue;
        }
        files += 1;
        let bytes = std::fs::read(&path).unwrap();
        let accepted = std::str::from_utf8(&bytes).is_ok_and(|text| skip(text).is_ok());
        match name.as_bytes()[0] {
            b'y' => assert!(accepted, "{name} is JSON"),
            b'n' => assert!(!accepted, "{name} is no JSON"),
            _ => {}
        }
        ends(&name, move || {
            split_and_read(&bytes);
            if let Ok(text) = std::str::from_utf8(&bytes) {
                read_all(text);
            }
        });
    }
    assert!(files > 100, "only {files} files of the suite were found");
}

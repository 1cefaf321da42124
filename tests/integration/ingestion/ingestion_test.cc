// What the door takes, refuses and remembers.
#include "tests/integration/ingestion/ingestion_test.h"

namespace bitfoundry::ingestion {
namespace {

TEST_F(IngestionTest, TheSameRequestMakesOneProjectAndAnotherOneIsRefused) {
  ASSERT_THAT(CreateProject(kRequestId, "yard"), IsOk());
  EXPECT_THAT(CreateProject(kRequestId, "yard"), IsOk());
  EXPECT_EQ(CreateProject(kRequestId, "lane").status().reason(), "REQUEST_ID");
  EXPECT_THAT(CreateProject("", "yard"), StatusIs(Code::kAlreadyExists));
  EXPECT_THAT(CreateProject("", "Not A Name"), StatusIs(Code::kInvalidArgument));
}

TEST_F(IngestionTest, ABadImageIsReportedAndTheOthersAreTaken) {
  const std::string good = Png(1);
  const auto answer = Ingest({{"first.png", good},
                              {"cut.png", good.substr(0, good.size() - 20)},
                              {"empty.png", ""},
                              {"anim.gif", "GIF89a..."},
                              {"tag.png", Png(3), "", std::nullopt, {{"Bad Key", "x"}}},
                              {"class.png", Png(3), "dog"},
                              {"last.png", Png(2)}});
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->accepted(), 2);
  ASSERT_EQ(answer->refused_size(), 5);
  const char* const reasons[] = {"IMAGE_TRUNCATED", "IMAGE_EMPTY", "IMAGE_FORMAT", "TAG_INVALID",
                                 "LABEL_INVALID"};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(answer->refused(i).reason(), reasons[i]);
  EXPECT_EQ(answer->refused(0).name(), "cut.png");
  EXPECT_THAT(answer->refused(0).message(), ::testing::HasSubstr("at byte"));
  EXPECT_EQ(Samples(), "2");
  EXPECT_EQ(LabelJobs(), "2");
}

TEST_F(IngestionTest, TheSameBytesTwiceAreOneSampleAndOneJob) {
  const auto answer = Ingest({{"a.png", Png(1)}, {"b.png", Png(1)}});
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->accepted(), 1);
  EXPECT_EQ(answer->duplicates(), 1);
  EXPECT_EQ(Samples(), "1");
  EXPECT_EQ(LabelJobs(), "1");
}

TEST_F(IngestionTest, AWindowIsASampleOfItsOwnWithItsOwnPixelsAndMeasures) {
  const std::string parent = Png(1);
  const auto answer = Ingest({{"w.png", parent, "", images::Rect{10, 20, 32, 40}},
                              {"out.png", parent, "", images::Rect{90, 20, 32, 40}}});
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->accepted(), 1);
  ASSERT_EQ(answer->refused_size(), 1);
  EXPECT_EQ(answer->refused(0).reason(), "WINDOW_OUTSIDE");

  const auto list = List();
  ASSERT_THAT(list, IsOk());
  ASSERT_EQ(list->samples_size(), 1);
  const v1::Sample& sample = list->samples(0);
  EXPECT_EQ(sample.name(), Sha256(parent) + "@10,20,32,40");
  EXPECT_EQ(sample.camera(), "north");
  EXPECT_EQ(sample.session(), "unknown");
  EXPECT_EQ(sample.attributes().at("width"), 32);
  EXPECT_EQ(sample.attributes().at("height"), 40);
  EXPECT_GT(sample.attributes().at("entropy"), 1);

  const images::Image crop = *images::Crop(*images::Decode(parent), {10, 20, 32, 40});
  EXPECT_EQ(*images::Decode(ReadImage(sample.name())), crop);
}

TEST_F(IngestionTest, AStatedLabelIsAnAnswerThatSettlesAndNeedsNoTeacher) {
  ASSERT_THAT(Ingest({{"a", Png(1), "person"}, {"a again", Png(1), "person"}, {"b", Png(2)}}),
              IsOk());
  EXPECT_EQ(One("SELECT annotator || ' ' || kind || ' ' || class_index FROM answers"),
            "ann person 1");
  const auto list = List();
  ASSERT_THAT(list, IsOk());
  EXPECT_EQ(list->samples(0).label(), "person");
  EXPECT_GE(list->samples(0).posterior(), 0.9);
  EXPECT_EQ(list->samples(1).label(), "");
  EXPECT_EQ(LabelJobs(), "1");
}

TEST_F(IngestionTest, ANewWindowOfAnImageThatWasLookedAtIsLookedAt) {
  const images::Rect left{0, 0, 40, 40};
  const images::Rect right{50, 0, 40, 40};
  ASSERT_THAT(Ingest({{"l", Png(1), "", left}}), IsOk());
  ASSERT_THAT(Ingest({{"l", Png(1), "", left}}), IsOk());
  EXPECT_EQ(LabelJobs(), "1");
  ASSERT_THAT(Ingest({{"r", Png(1), "", right}}), IsOk());
  EXPECT_EQ(LabelJobs(), "2");
}

TEST_F(IngestionTest, NoWindowOfAnImageGoesToTheOtherPart) {
  const images::Rect left{0, 0, 40, 40};
  const images::Rect right{50, 0, 40, 40};
  ASSERT_THAT(Ingest({{"l", Png(1), "", left}}), IsOk());
  const auto other = Ingest({{"r", Png(1), "", right}}, "", v1::PART_TEST);
  ASSERT_THAT(other, IsOk());
  EXPECT_EQ(other->accepted(), 0);
  ASSERT_EQ(other->ignored_size(), 1);
  EXPECT_EQ(other->ignored(0).reason(), "OTHER_PART");
  EXPECT_EQ(Samples(), "1");
}

TEST_F(IngestionTest, ARequestThatWasAnsweredIsAnsweredTheSameWithoutBeingDoneAgain) {
  const auto first = Ingest({{"a.png", Png(1)}, {"bad", "?"}}, kRequestId);
  ASSERT_THAT(first, IsOk());
  const auto second = Ingest({{"a.png", Png(1)}, {"bad", "?"}}, kRequestId);
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->SerializeAsString(), first->SerializeAsString());
  EXPECT_EQ(Ingest({{"b.png", Png(2)}}, kRequestId, v1::PART_TEST).status().reason(), "REQUEST_ID");
  EXPECT_EQ(Samples(), "1");
}

TEST_F(IngestionTest, ARequestThatDiedHalfWayIsCompletedByTheNextOne) {
  ASSERT_THAT(Ingest({{"a.png", Png(1)}}), IsOk());  // what the dead one had written
  const auto again = Ingest({{"a.png", Png(1)}, {"b.png", Png(2)}}, kRequestId);
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->accepted(), 1);
  EXPECT_EQ(again->duplicates(), 1);
  EXPECT_EQ(Samples(), "2");
}

TEST_F(IngestionTest, AStreamThatWasCutIsNotAnsweredAndTheSameRequestTakesTheRest) {
  const std::vector<Item> items{{"a.png", Png(1)}, {"b.png", Png(2)}};
  EXPECT_EQ(Send(items, -1, kRequestId).status().reason(), "STREAM_CUT");
  EXPECT_EQ(Send(items, 3, kRequestId).status().reason(), "STREAM_CUT");
  EXPECT_EQ(Samples(), "1");  // what was open at the cut may lack its tail
  const auto whole = Ingest(items, kRequestId);
  ASSERT_THAT(whole, IsOk());
  EXPECT_EQ(whole->accepted(), 1);
  EXPECT_EQ(Samples(), "2");
}

TEST_F(IngestionTest, ANameThatIsNoTextCutsTheStreamAndIsNotTakenForItsEnd) {
  EXPECT_FALSE(Ingest({{"a.png", Png(1)}, {"b\xff.png", Png(2)}}, kRequestId).ok());
  const auto renamed = Ingest({{"a.png", Png(1)}, {"b.png", Png(2)}}, kRequestId);
  ASSERT_THAT(renamed, IsOk());
  EXPECT_EQ(Samples(), "2");
}

TEST_F(IngestionTest, AVideoThatWasCutIsNotTaken) {
  EXPECT_EQ(IngestVideo(Video(), kRequestId, 1).status().reason(), "STREAM_CUT");
  EXPECT_EQ(Samples(), "0");
  EXPECT_THAT(IngestVideo(Video(), kRequestId), IsOk());
}

TEST_F(IngestionTest, NobodyAnswersUnderANameThatCouldBeMistaken) {
  for (const std::string name : {"teacher:centernet@abc", "anna\n", "an\x1b[2Jna", ""}) {
    const auto answer = Ingest({{"a.png", Png(1), "person", std::nullopt, {}, name}});
    ASSERT_THAT(answer, IsOk());
    ASSERT_EQ(answer->refused_size(), 1) << name;
    EXPECT_EQ(answer->refused(0).reason(), "ANNOTATOR_INVALID");
  }
  EXPECT_EQ(One("SELECT count(*) FROM answers"), "0");
}

TEST_F(IngestionTest, NothingIsTakenWhileTooManyLabelJobsWait) {
  std::vector<Item> items;
  for (int i = 0; i < kMaxWaiting + 1; ++i) items.push_back({std::to_string(i), Png(i)});
  EXPECT_THAT(Ingest(items), StatusIs(Code::kResourceExhausted));
  EXPECT_EQ(Samples(), std::to_string(kMaxWaiting));
  items.pop_back();
  EXPECT_THAT(Ingest(items), IsOk()) << "they are there already and need no room";
  EXPECT_THAT(Ingest({{"labelled.png", Png(99), "person"}}), IsOk());
  EXPECT_THAT(Ingest({{"one more.png", Png(98)}}), StatusIs(Code::kResourceExhausted));
  Run("DELETE FROM jobs");
  EXPECT_THAT(Ingest({{"one more.png", Png(98)}}), IsOk());
}

TEST_F(IngestionTest, ALabelThatComesLaterEndsTheTask) {
  ASSERT_THAT(Ingest({{"a.png", Png(1)}}), IsOk());
  Run("INSERT INTO tasks (project_id, sample_id) SELECT project_id, id FROM samples");
  Run("INSERT INTO task_slots (task_id, slot, project_id, priority)"
      " SELECT id, 1, project_id, 0 FROM tasks");
  ASSERT_THAT(Ingest({{"a.png", Png(1), "person"}}), IsOk());
  EXPECT_EQ(One("SELECT closed_as FROM tasks"), "answered");
}

TEST_F(IngestionTest, AStreamOutOfOrderAndAnUnknownProjectAreRefused) {
  Call call;
  v1::IngestImagesResponse response;
  const auto writer = ingestion_->IngestImages(&call, &response);
  v1::IngestImagesRequest message;
  message.set_chunk("bytes before all");
  writer->Write(message);
  writer->WritesDone();
  const Status status = FromGrpc(writer->Finish());
  EXPECT_EQ(status.reason(), "STREAM_ORDER");

  Run("UPDATE projects SET name = 'other'");
  EXPECT_THAT(Ingest({{"a.png", Png(1)}}), StatusIs(Code::kNotFound));
}

TEST_F(IngestionTest, AVideoBecomesWindowsOfItsFramesAndTheSameAgainAddsNothing) {
  const std::string video = Video();
  const auto answer = IngestVideo(video, kRequestId);
  ASSERT_THAT(answer, IsOk());
  EXPECT_TRUE(answer->done());
  EXPECT_EQ(answer->frames_done(), 3);
  EXPECT_EQ(answer->frames_total(), 3);
  EXPECT_EQ(answer->accepted(), 15);
  EXPECT_EQ(One("SELECT count(*) FROM images"), "3");
  EXPECT_EQ(LabelJobs(), "3");
  EXPECT_EQ(One("SELECT string_agg(DISTINCT position::text, ',') FROM samples"), "0,4,8");

  const auto same = IngestVideo(video, kRequestId);
  ASSERT_THAT(same, IsOk());
  EXPECT_EQ(same->SerializeAsString(), answer->SerializeAsString());

  const auto other_request = IngestVideo(video);
  ASSERT_THAT(other_request, IsOk());
  EXPECT_EQ(other_request->accepted(), 0);
  EXPECT_EQ(other_request->duplicates(), 15);

  EXPECT_EQ(IngestVideo("this is no video").status().reason(), "VIDEO_UNREADABLE");
}

TEST_F(IngestionTest, SamplesAreListedPageByPage) {
  ASSERT_THAT(Ingest({{"a", Png(1)}, {"b", Png(2)}, {"c", Png(3)}}), IsOk());
  const auto first = List(2);
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->samples_size(), 2);
  const auto second = List(2, first->next_page_token());
  ASSERT_THAT(second, IsOk());
  ASSERT_EQ(second->samples_size(), 1);
  EXPECT_EQ(second->samples(0).name(), Sha256(Png(3)));
  EXPECT_EQ(second->next_page_token(), "");
  EXPECT_THAT(List(2, "garbage"), StatusIs(Code::kInvalidArgument));
}

TEST_F(IngestionTest, APageOfSamplesFitsIntoAMessageHoweverMuchIsKnownOfThem) {
  ASSERT_THAT(Ingest({{"a", Png(1)}}), IsOk());
  Run("INSERT INTO samples (project_id, name, image_digest, part, camera, session, attributes, "
      "phash)"
      " SELECT project_id, name || '@' || i, image_digest, part, camera, session, attributes, phash"
      " FROM samples, generate_series(1, 999) AS i");
  Run("INSERT INTO sample_tags SELECT id, 'k' || k, repeat('x', 128), 'test' "
      "FROM samples, generate_series(1, 32) AS k");
  int seen = 0;
  std::string token;
  int pages = 0;
  do {
    const auto page = List(1000, token);
    ASSERT_THAT(page, IsOk());
    EXPECT_LE(page->ByteSizeLong(), 3u << 20);
    seen += page->samples_size();
    token = page->next_page_token();
    ++pages;
  } while (!token.empty() && pages < 10);
  EXPECT_EQ(seen, 1000);
  EXPECT_GT(pages, 1);
}

TEST_F(IngestionTest, ASampleTellsItsFrameBeforeItHasALabel) {
  ASSERT_THAT(IngestVideo(Video()), IsOk());
  const auto list = List(1000);
  ASSERT_THAT(list, IsOk());
  const v1::Sample& last = list->samples(list->samples_size() - 1);
  EXPECT_EQ(last.label(), "");
  EXPECT_EQ(last.position(), 8);
}

TEST_F(IngestionTest, ASnapshotFreezesWhatIsLabelledAndTheSameContentIsTheSameSnapshot) {
  ASSERT_THAT(Ingest({{"a", Png(1)}, {"w", Png(2), "", images::Rect{0, 0, 40, 40}}}), IsOk());
  EXPECT_EQ(Snapshot().status().reason(), "EMPTY_PART");
  ASSERT_THAT(Ingest({{"c", Png(3)}, {"d", Png(4)}}, "", v1::PART_TEST), IsOk());
  Run("INSERT INTO labels SELECT id, 1, 1, 0.9, 1, 'test' FROM samples ORDER BY id LIMIT 3");

  const auto snapshot = Snapshot();
  ASSERT_THAT(snapshot, IsOk());
  EXPECT_EQ(snapshot->train_samples(), 2);
  EXPECT_EQ(snapshot->test_samples(), 1);
  EXPECT_EQ(snapshot->unlabelled_samples(), 1);
  EXPECT_EQ(snapshot->classes(1).name(), "person");
  EXPECT_EQ(snapshot->classes(1).train(), 2);
  EXPECT_EQ(Snapshot()->digest(), snapshot->digest());
  EXPECT_EQ(One("SELECT count(*) FROM snapshots"), "1");

  v1::GetSnapshotRequest get;
  get.set_digest(snapshot->digest());
  v1::Snapshot got;
  Call get_call;
  ASSERT_THAT(FromGrpc(snapshots_->GetSnapshot(&get_call, get, &got)), IsOk());
  EXPECT_EQ(got.SerializeAsString(), snapshot->SerializeAsString());

  const std::string pixels = One("SELECT pixels_digest FROM snapshots");
  const auto frozen =
      snapshot::Decode(*store_->Get(snapshot->digest(), 1 << 20), *store_->Get(pixels, 1 << 20));
  ASSERT_THAT(frozen, IsOk());
  for (size_t i = 0; i < frozen->rows.size(); ++i) {
    const snapshot::Row& row = frozen->rows[i];
    const images::Image shown = *images::Decode(ReadImage(row.name));
    EXPECT_THAT(frozen->Image(i),
                ::testing::ElementsAreArray(images::ModelInput(shown, 16, 16, 1).pixels));
  }
  Run("INSERT INTO labels SELECT sample_id, 2, 0, 0.9, 2, 'test' FROM labels LIMIT 1");
  const std::string newer = Snapshot()->digest();
  EXPECT_NE(newer, snapshot->digest());
  v1::ListSnapshotsRequest list;
  list.set_project("gate");
  list.set_page_size(1);
  v1::ListSnapshotsResponse newest;
  Call list_call;
  ASSERT_THAT(FromGrpc(snapshots_->ListSnapshots(&list_call, list, &newest)), IsOk());
  ASSERT_EQ(newest.snapshots_size(), 1);
  EXPECT_EQ(newest.snapshots(0).digest(), newer);
  EXPECT_NE(newest.next_page_token(), "");
}

TEST_F(IngestionTest, WhatIsStatedOtherwiseOfAnImageThatIsThereIsReported) {
  Item item{"a.png", Png(1), "person", std::nullopt, {{"light", "dusk"}}};
  ASSERT_THAT(Ingest({item}), IsOk());
  EXPECT_EQ(Ingest({item})->ignored_size(), 0);

  item.tags["light"] = "dawn";
  const auto again = Ingest({item}, "", v1::PART_TEST);
  ASSERT_EQ(again->ignored_size(), 1);
  EXPECT_EQ(again->duplicates(), 1);
  EXPECT_EQ(again->ignored(0).reason(), "STAYS");
  EXPECT_THAT(again->ignored(0).message(),
              ::testing::HasSubstr("part is 'train', not 'test'; tag light is 'dusk', not 'dawn'"));

  item = {"a.png", Png(1), "no_person"};
  const auto changed = Ingest({item});
  ASSERT_EQ(changed->refused_size(), 1);
  EXPECT_EQ(changed->refused(0).reason(), "ANSWERED_BEFORE");
  EXPECT_EQ(One("SELECT count(*) FROM answers"), "1");

  item.annotator = "ben";
  EXPECT_EQ(Ingest({item})->refused_size(), 0);
  EXPECT_EQ(List()->samples(0).label(), "") << "they disagree";
  EXPECT_EQ(One("SELECT count(*) FROM task_slots WHERE state = 'open'"), "1") << "a third is asked";
}

}  // namespace
}  // namespace bitfoundry::ingestion

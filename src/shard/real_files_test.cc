#include "shard/real_files.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "shard/testing.h"

namespace moonshard::shard {
namespace {

TEST(RealFiles, ReadsWhatItWroteAndNamesItsErrors) {
  TemporaryDirectory directory;
  std::unique_ptr<FileSystem> files = MakeRealFileSystem();
  const std::string path = directory.path() + "/data";
  EXPECT_TRUE(IsNotFound(files->Open(path, OpenOptions()).status()));
  OpenOptions options;
  options.mode = OpenOptions::Mode::kReadWrite;
  options.create = options.exclusive = true;
  std::unique_ptr<File> file = std::move(files->Open(path, options)).value();
  EXPECT_FALSE(files->Open(path, options).ok());

  EXPECT_TRUE(file->Write(5, std::string("world")).ok());
  EXPECT_TRUE(file->Write(0, std::string("hello")).ok());
  EXPECT_TRUE(file->Sync().ok());
  char bytes[20];
  EXPECT_EQ(*file->Read(0, bytes), 10u);
  EXPECT_EQ(std::string(bytes, 10), "helloworld");
  EXPECT_EQ(*file->Read(10, bytes), 0u);
  EXPECT_TRUE(file->Truncate(7).ok());
  EXPECT_EQ(*file->Size(), 7u);
  EXPECT_EQ(*files->Size(path), 7u);

  EXPECT_TRUE(files->MakeDirectory(directory.path() + "/sub").ok());
  EXPECT_TRUE(files->MakeDirectory(directory.path() + "/sub").ok());
  EXPECT_TRUE(files->Rename(path, directory.path() + "/sub/b").ok());
  EXPECT_TRUE(files->SyncDirectory(directory.path()).ok());
  EXPECT_EQ(*files->List(directory.path()), std::vector<std::string>{"sub"});
  EXPECT_EQ(*files->List(directory.path() + "/sub"), std::vector<std::string>{"b"});
  EXPECT_TRUE(files->Remove(directory.path() + "/sub/b").ok());
  EXPECT_TRUE(IsNotFound(files->Remove(directory.path() + "/sub/b")));
}

TEST(RealFiles, ALockHasOneHolder) {
  TemporaryDirectory directory;
  std::unique_ptr<FileSystem> files = MakeRealFileSystem();
  const std::string path = directory.path() + "/lock";
  std::unique_ptr<FileLock> first = std::move(files->Lock(path)).value();
  EXPECT_TRUE(IsLocked(files->Lock(path).status()));
  first.reset();
  EXPECT_TRUE(files->Lock(path).ok());
  EXPECT_FALSE(IsLocked(files->Lock(directory.path() + "/absent/lock").status()));
}

TEST(RealFiles, DirectDurableWritesOfWholeBlocks) {
  TemporaryDirectory directory;
  std::unique_ptr<FileSystem> files = MakeRealFileSystem();
  OpenOptions options;
  options.mode = OpenOptions::Mode::kReadWrite;
  options.create = options.direct = options.dsync = true;
  base::Result<std::unique_ptr<File>> file = files->Open(directory.path() + "/log", options);
  if (!file.ok()) GTEST_SKIP() << "no direct writes here: " << file.status().ToString();
  auto* block = static_cast<char*>(std::aligned_alloc(kDirectAlignment, kDirectAlignment));
  std::fill_n(block, kDirectAlignment, 'b');
  EXPECT_TRUE((*file)->Write(kDirectAlignment, {block, kDirectAlignment}).ok());
  EXPECT_EQ(*(*file)->Size(), 2 * kDirectAlignment);
  std::fill_n(block, kDirectAlignment, 'x');
  EXPECT_EQ(*(*file)->Read(kDirectAlignment, {block, kDirectAlignment}), kDirectAlignment);
  EXPECT_EQ(block[100], 'b');
  std::free(block);
}

}  // namespace
}  // namespace moonshard::shard

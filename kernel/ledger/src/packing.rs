//! Packs what we have written into the repository, so that the researcher's git neither slows down nor begins
//! to clear up (`gc.auto`) on our account.
//!
//! An append leaves about a dozen loose objects. [`Ledger::pack`] puts those of the newest appends into a pack by
//! `git pack-objects`, and only what that pack holds is taken away. Our packs are merged as they get many, each
//! at least twice as large as the next, so that there are few and each object is moved a few times in all. Packs that
//! `git gc` has made, and the researcher's own objects, are left alone.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
};

use git2::{ObjectType, Oid, Tree};
use lab::Tag;

use crate::{Ledger, LedgerError, advance::EMAIL, error::on_file, refs::ledger_ref};

/// How many appends may be loose. With a dozen objects each they stay far below the 6,700 of `gc.auto`.
pub(crate) const LOOSE: usize = 128;
/// How many appends are packed at once at most: a ledger that was never packed takes several turns.
const MOST: usize = 20_000;

/// How the folders of half written packs are named.
const HALF: &str = "tmp_packing_";

/// The objects to be packed, each with a name by which git finds what is alike.
type Wanted = BTreeMap<Oid, &'static str>;

impl Ledger {
    /// Packs our loose objects where they have become many, and says how many there were. Loses nothing wherever
    /// it is cut off: a pack is on the disk before what it holds is taken away.
    ///
    /// # Errors
    /// Where the ledger cannot be read, or git cannot write.
    pub fn pack(&self, tag: &Tag) -> Result<usize, LedgerError> {
        // Another process is at it, or git itself.
        let Some(_lock) = self.lock_packing()?.filter(|_| !self.is_collected()) else { return Ok(0) };
        let appends = self.loose_appends(tag)?;
        if appends.len() < LOOSE {
            return Ok(0);
        }
        let mut wanted = Wanted::new();
        for commit in appends {
            self.made_by(commit, &mut wanted)?;
        }
        let loose: Vec<Oid> = wanted.keys().copied().collect();
        let absorbed = self.absorb(&mut wanted)?;
        let pack = self.write_pack(&wanted)?;
        self.take_away(&pack, &loose, &absorbed)?;
        Ok(loose.len())
    }

    /// What holds others off, where nobody is packing.
    fn lock_packing(&self) -> Result<Option<File>, LedgerError> {
        let path = self.state_dir().join("packing");
        let file = File::create(&path).map_err(|e| on_file(e, &path))?;
        Ok(file.try_lock().is_ok().then_some(file))
    }

    /// Folders of packs that were half written when their writer was killed.
    pub(crate) fn half_packs(&self) -> Vec<PathBuf> {
        let Ok(Some(_lock)) = self.lock_packing() else { return Vec::new() };
        let entries = fs::read_dir(self.objects_dir()).into_iter().flatten().flatten();
        let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(HALF));
        ours.map(|entry| entry.path()).collect()
    }

    /// The ledger's newest commits that are loose.
    fn loose_appends(&self, tag: &Tag) -> Result<Vec<Oid>, LedgerError> {
        let mut found = Vec::new();
        let mut next = self.target(&ledger_ref(tag))?;
        while let Some(oid) = next.filter(|oid| found.len() < MOST && self.loose(*oid).exists()) {
            found.push(oid);
            next = self.repo.find_commit(oid)?.parent_id(0).ok();
        }
        Ok(found)
    }

    /// The file of a loose object.
    fn loose(&self, oid: Oid) -> PathBuf {
        let name = oid.to_string();
        self.objects_dir().join(&name[..2]).join(&name[2..])
    }

    /// What is loose of what an append has written: its commit, the candidate, and what is new in their trees.
    fn made_by(&self, append: Oid, wanted: &mut Wanted) -> Result<(), LedgerError> {
        let append = self.repo.find_commit(append)?;
        // A merge's second parent is another ledger, which came by a fetch.
        let candidate = append.parent(1).ok().filter(|it| {
            it.author().email().is_ok_and(|email| email == EMAIL) && it.parent_count() == 1 && !is_ledgers(it)
        });
        for commit in [Some(append), candidate].into_iter().flatten() {
            let before = commit.parent(0).ok().map(|parent| parent.tree()).transpose()?;
            self.want(commit.id(), "commit", wanted);
            self.new_in(before.as_ref(), &commit.tree()?, wanted)?;
        }
        Ok(())
    }

    fn want(&self, oid: Oid, name: &'static str, wanted: &mut Wanted) {
        if !wanted.contains_key(&oid) && self.loose(oid).exists() {
            wanted.insert(oid, name);
        }
    }

    fn new_in(&self, old: Option<&Tree<'_>>, new: &Tree<'_>, wanted: &mut Wanted) -> Result<(), LedgerError> {
        self.want(new.id(), "tree", wanted);
        for entry in new {
            let before = old.and_then(|old| old.get_name_bytes(entry.name_bytes()));
            if before.as_ref().is_some_and(|before| before.id() == entry.id()) {
                continue;
            }
            match entry.kind() {
                Some(ObjectType::Tree) => {
                    let is_tree = |before: &git2::TreeEntry<'_>| before.kind() == Some(ObjectType::Tree);
                    let before = before.filter(is_tree).map(|before| self.repo.find_tree(before.id()));
                    let before = before.transpose()?;
                    self.new_in(before.as_ref(), &self.repo.find_tree(entry.id())?, wanted)?;
                }
                // Mostly one that the researcher has committed, and that is not ours then.
                Some(ObjectType::Blob) if entry.name_bytes() == b"program.md" => {}
                Some(ObjectType::Blob) => {
                    let name = match entry.name_bytes() {
                        b"record.json" => "record.json",
                        b"log.zst" => "log.zst",
                        b"metrics.parquet" => "metrics.parquet",
                        name if name.ends_with(b".json") => "event.json",
                        _ => "file",
                    };
                    self.want(entry.id(), name, wanted);
                }
                // A submodule's commit is in another repository.
                _ => {}
            }
        }
        Ok(())
    }

    /// Our packs that the new one is to take in, for they are less than twice as large: their objects are added to
    /// what is wanted.
    fn absorb(&self, wanted: &mut Wanted) -> Result<Vec<String>, LedgerError> {
        let mut absorbed = Vec::new();
        // Where git keeps an index over several packs, none may be missing.
        if self.packs().join("multi-pack-index").exists() {
            return Ok(absorbed);
        }
        let mut ours = self.our_packs()?;
        while let Some(pack) = ours.pop() {
            let objects = self.objects_of(&pack)?;
            if objects.len() > 2 * wanted.len() {
                break;
            }
            for oid in objects {
                wanted.entry(oid).or_insert("");
            }
            absorbed.push(pack);
        }
        Ok(absorbed)
    }

    /// Writes a pack and gives its name.
    fn write_pack(&self, wanted: &Wanted) -> Result<String, LedgerError> {
        let lines: String = wanted.iter().map(|(oid, name)| format!("{oid} {name}\n")).collect();
        // One thread: a run is being measured meanwhile.
        let threads = ["-c", "pack.threads=1", "-c", "pack.packSizeLimit=0"];
        let command = ["pack-objects", "--quiet", "--delta-base-offset"];
        let place = self.packs().join("pack");
        let words = threads.iter().chain(&command).map(Into::into).chain([place.into_os_string()]);
        let half = self.half_pack().map_err(|e| on_file(e, &self.objects_dir()))?;
        let git = self.git().with_objects(half.path());
        git.run_with(words.collect::<Vec<std::ffi::OsString>>(), lines.as_bytes())
    }

    /// A folder of its own for what git has half written, which it leaves where it is killed: there, it is known to be
    /// ours. It is among the objects, so that a whole pack is renamed into its place.
    fn half_pack(&self) -> std::io::Result<tempfile::TempDir> {
        let folder = tempfile::Builder::new().prefix(HALF).tempdir_in(self.objects_dir())?;
        let info = folder.path().join("info");
        fs::create_dir(&info)?;
        fs::write(info.join("alternates"), "..\n")?;
        Ok(folder)
    }

    /// Takes away what `pack` holds: loose objects, and packs of ours that are in it.
    fn take_away(&self, pack: &str, loose: &[Oid], absorbed: &[String]) -> Result<(), LedgerError> {
        let folder = self.packs();
        let synced = File::open(&folder).and_then(|file| file.sync_all());
        synced.map_err(|e| on_file(e, &folder))?;
        let held: HashSet<Oid> = self.objects_of(pack)?.into_iter().collect();
        let mut ours = self.our_packs()?;
        ours.retain(|name| name != pack && !absorbed.contains(name));
        ours.push(pack.to_owned());
        self.remember(&ours)?;
        for oid in loose.iter().filter(|oid| held.contains(oid)) {
            let _ = fs::remove_file(self.loose(*oid));
        }
        for name in absorbed.iter().filter(|name| *name != pack) {
            if self.objects_of(name)?.iter().all(|oid| held.contains(oid)) {
                // Without its index a pack is not looked at: that goes first.
                for ending in ["idx", "pack", "rev"] {
                    let _ = fs::remove_file(folder.join(format!("pack-{name}.{ending}")));
                }
            }
        }
        self.repo.odb()?.refresh()?;
        Ok(())
    }

    /// The folder of git's objects.
    pub fn objects_dir(&self) -> PathBuf {
        self.repo.commondir().join("objects")
    }

    fn packs(&self) -> PathBuf {
        self.objects_dir().join("pack")
    }

    /// The packs that we have made and that are still there, the largest first. Without the list they are git's.
    fn our_packs(&self) -> Result<Vec<String>, LedgerError> {
        let list = fs::read_to_string(self.state_dir().join("packs")).unwrap_or_default();
        let there = |name: &&str| self.packs().join(format!("pack-{name}.idx")).exists();
        Ok(list.lines().filter(there).map(str::to_owned).collect())
    }

    fn remember(&self, ours: &[String]) -> Result<(), LedgerError> {
        let path = self.state_dir().join("packs");
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(self.state_dir())?;
            file.write_all(ours.join("\n").as_bytes())?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|e| on_file(e, &path))
    }

    /// The objects of a pack, from its index (version 2): 8 bytes, 256 counts, and the names in their order.
    fn objects_of(&self, pack: &str) -> Result<Vec<Oid>, LedgerError> {
        const NAMES: usize = 8 + 256 * 4;
        let path = self.packs().join(format!("pack-{pack}.idx"));
        let index = fs::read(&path).map_err(|e| on_file(e, &path))?;
        let malformed = || LedgerError::Malformed {
            what: path.display().to_string(),
            reason: "it is no index of a pack".to_owned(),
        };
        let count = index.get(NAMES - 4..NAMES).and_then(|count| count.try_into().ok());
        let count = u32::from_be_bytes(count.ok_or_else(malformed)?) as usize;
        let names = index.get(NAMES..NAMES + 20 * count).filter(|_| index.starts_with(b"\xfftOc\0\0\0\x02"));
        names.ok_or_else(malformed)?.chunks(20).map(|name| Ok(Oid::from_bytes(name)?)).collect()
    }
}

/// Whether a commit is of a ledger, and no candidate.
fn is_ledgers(commit: &git2::Commit<'_>) -> bool {
    commit
        .tree()
        .is_ok_and(|tree| tree.get_name("meta.json").is_some() && tree.get_name("experiments").is_some())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use lab::Record;

    use super::*;
    use crate::{
        Edit,
        testing::{Lab, append, record},
    };

    /// Loose objects and packs that git counts.
    fn count(lab: &Lab) -> (usize, usize) {
        let told = lab.git("count-objects -v");
        let of = |name: &str| {
            let line = told.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
            line.unwrap().parse().unwrap()
        };
        (of("count"), of("packs"))
    }

    fn tried(ledger: &Ledger, number: u64) -> Record {
        let content = format!("WIDTH = {number}\n").into_bytes();
        let edit = Edit { path: "train.py".to_owned(), content: Some(content) };
        let candidate = ledger.candidate(&ledger.head().unwrap(), &[edit], "deeper").unwrap();
        Record { candidate, ..record(ledger, number) }
    }

    #[test]
    fn what_we_write_is_packed_in_time_and_nothing_else() {
        let lab = Lab::new();
        lab.write("new.py", "x\n");
        lab.git("add new.py");
        let (ledger, tag) = (lab.ledger(), Tag::default());
        let mut most = 0;
        for number in 0..1_000 {
            append(&ledger, &tried(&ledger, number));
            if number % 50 == 0 {
                ledger.pack(&tag).unwrap();
                most = most.max(count(&lab).0);
            }
        }
        let (loose, packs) = count(&lab);
        assert!(most < 3_000 && loose < 3_000, "{loose} objects are loose, once {most}");
        assert!((1..=5).contains(&packs), "{packs} packs");
        lab.git("fsck --strict");
        for oid in lab.git("rev-list --objects HEAD").lines() {
            let oid = Oid::from_str(&oid[..40]).unwrap();
            assert!(ledger.loose(oid).exists(), "what is the researcher's stays as it is");
        }
        let read = lab.ledger().experiments(&tag).unwrap();
        assert_eq!(read.len(), 1_000);
        assert_eq!(ledger.log(&tag, read[3].record.id).unwrap(), b"step 1\n");
        lab.git("gc -q --prune=now");
        assert_eq!(count(&lab).1, 1);
        append(&ledger, &tried(&ledger, 1_000));
        assert_eq!(ledger.pack(&tag).unwrap(), 0, "one append is not many");
        assert_eq!(lab.ledger().experiments(&tag).unwrap().len(), 1_001);
    }

    #[test]
    fn a_pack_that_is_cut_off_loses_nothing() {
        let lab = Lab::new();
        let (ledger, tag) = (lab.ledger(), Tag::default());
        for number in 0..LOOSE as u64 {
            append(&ledger, &tried(&ledger, number));
        }
        // Packed, and then the process dies before anything is taken away.
        let mut wanted = Wanted::new();
        for commit in ledger.loose_appends(&tag).unwrap() {
            ledger.made_by(commit, &mut wanted).unwrap();
        }
        ledger.write_pack(&wanted).unwrap();
        assert_eq!(ledger.half_packs(), Vec::<PathBuf>::new());
        let (before, _) = count(&lab);
        let other = lab.ledger();
        assert!(other.pack(&tag).unwrap() > 1_000);
        assert!(count(&lab).0 < before);
        lab.git("fsck --strict");
        assert_eq!(other.experiments(&tag).unwrap().len(), LOOSE);
    }

    #[test]
    fn whoever_has_the_repository_open_goes_on() {
        let lab = Lab::new();
        let (ledger, mut reader, tag) = (lab.ledger(), lab.ledger(), Tag::default());
        let mut seen = 0;
        for number in 0..3 * LOOSE as u64 {
            append(&ledger, &tried(&ledger, number));
            if number % 100 == 99 {
                lab.ledger().pack(&tag).unwrap();
                seen = reader.experiments(&tag).unwrap().len();
            }
        }
        assert_eq!(seen, 300);
        for experiment in reader.experiments(&tag).unwrap() {
            assert_eq!(reader.log(&tag, experiment.record.id).unwrap(), b"step 1\n");
        }

        drop(ledger);
        reader.reopen().unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let packs = lab.root().join(".git/objects/pack").display().to_string();
        let held = maps.lines().filter(|line| line.contains(&packs) && line.ends_with("(deleted)"));
        assert_eq!(held.collect::<Vec<_>>(), Vec::<&str>::new(), "packs that are no more take no room");
        assert_eq!(reader.experiments(&tag).unwrap().len(), 3 * LOOSE);
    }
}
